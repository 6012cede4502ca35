#ifndef C_ONNX_RUNTIME_H
#define C_ONNX_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

// ONNX Runtime without its header and without linking it: the library is opened by path when a process wants it, and its
// functions are called by their place in its table, which only ever grows at its end.
//
// A function that can fail returns NULL when all went well, else a message that the caller releases with free().

typedef struct onnx_runtime onnx_runtime;
typedef struct onnx_session onnx_session;

/// Opens the library and its environment. The library stays in the process for good: it starts threads and registers
/// destructors that outlive a dlclose.
char *_Nullable onnx_runtime_open(const char *path, onnx_runtime *_Nullable *_Nonnull runtime);
/// Every session of it must be closed before.
void onnx_runtime_close(onnx_runtime *runtime);
/// As the library says it, "1.32.0".
const char *onnx_runtime_version(const onnx_runtime *runtime);

/// Makes a session from a file, beside which the model may keep further ones; or, where no path is given, from the bytes of
/// an ONNX model, which are not needed afterwards. Its runs use the calling thread alone: parallelism comes from concurrent
/// runs, which need no hand-over between threads.
char *_Nullable onnx_session_open(const onnx_runtime *runtime, const char *_Nullable path, const void *_Nullable model,
                                  size_t size, onnx_session *_Nullable *_Nonnull session);
void onnx_session_close(onnx_session *session);

size_t onnx_session_input_count(const onnx_session *session);
/// Valid as long as the session.
const char *onnx_session_input_name(const onnx_session *session, size_t index);
/// ONNX's number of the input's element type (TensorProto.DataType in onnx.proto3); 0 if it is no tensor.
int32_t onnx_session_input_type(const onnx_session *session, size_t index);
size_t onnx_session_output_count(const onnx_session *session);
const char *onnx_session_output_name(const onnx_session *session, size_t index);
/// As of an input.
int32_t onnx_session_output_type(const onnx_session *session, size_t index);
/// The output's last dimension; 0 if the model leaves it open.
int64_t onnx_session_output_width(const onnx_session *session, size_t index);

/// A tensor's bytes, borrowed for the call, in row-major order.
typedef struct {
    const char *name;
    const void *data;
    size_t size;
    const int64_t *dimensions;
    size_t rank;
    int32_t type;
} onnx_input;

enum { ONNX_LARGEST_RANK = 8 };

/// A run's answer, owned by the library until onnx_output_close.
typedef struct {
    const float *_Nullable data;
    size_t count;
    int64_t dimensions[ONNX_LARGEST_RANK];
    size_t rank;
    void *_Nullable value;
} onnx_output;

/// Runs the model on the calling thread for one of its outputs, which must be of Float32. Any number of threads may run one
/// session at once.
///
/// The memory that runs needed is kept for later ones of all sessions. With `gives_back`, what is unused after the run goes
/// back to the system.
char *_Nullable onnx_session_run(const onnx_session *session, const onnx_input *inputs, size_t input_count,
                                 const char *output_name, bool gives_back, onnx_output *output);
void onnx_output_close(const onnx_session *session, onnx_output *output);

#pragma clang assume_nonnull end

#endif
