#include "COnnxRuntime.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

// Places in the table of functions that OrtApiBase.GetApi returns. It is append-only: onnxruntime_c_api.cc of ONNX Runtime
// 1.11 and later lists it in order (ort_api_1_to_N) and asserts where each version ends (version 1 at 101, version 4 at
// 126, version 8 at 169). All of these are from versions 1 to 8.
enum {
    SLOT_GET_ERROR_MESSAGE = 2,
    SLOT_CREATE_ENV = 3,
    SLOT_CREATE_SESSION = 7,
    SLOT_CREATE_SESSION_FROM_ARRAY = 8,
    SLOT_RUN = 9,
    SLOT_CREATE_SESSION_OPTIONS = 10,
    SLOT_DISABLE_MEM_PATTERN = 17,
    SLOT_SET_GRAPH_OPTIMIZATION_LEVEL = 23,
    SLOT_SET_INTRA_OP_THREADS = 24,
    SLOT_SET_INTER_OP_THREADS = 25,
    SLOT_INPUT_COUNT = 30,
    SLOT_OUTPUT_COUNT = 31,
    SLOT_INPUT_TYPE_INFO = 33,
    SLOT_OUTPUT_TYPE_INFO = 34,
    SLOT_INPUT_NAME = 36,
    SLOT_OUTPUT_NAME = 37,
    SLOT_CREATE_RUN_OPTIONS = 39,
    SLOT_CREATE_TENSOR_WITH_DATA = 49,
    SLOT_IS_TENSOR = 50,
    SLOT_TENSOR_DATA = 51,
    SLOT_CAST_TYPE_INFO_TO_TENSOR = 55,
    SLOT_ELEMENT_TYPE = 60,
    SLOT_DIMENSIONS_COUNT = 61,
    SLOT_DIMENSIONS = 62,
    SLOT_ELEMENT_COUNT = 64,
    SLOT_TYPE_AND_SHAPE = 65,
    SLOT_CREATE_CPU_MEMORY_INFO = 69,
    SLOT_ALLOCATOR_FREE = 76,
    SLOT_DEFAULT_ALLOCATOR = 78,
    SLOT_RELEASE_ENV = 92,
    SLOT_RELEASE_STATUS = 93,
    SLOT_RELEASE_MEMORY_INFO = 94,
    SLOT_RELEASE_SESSION = 95,
    SLOT_RELEASE_VALUE = 96,
    SLOT_RELEASE_RUN_OPTIONS = 97,
    SLOT_RELEASE_TYPE_INFO = 98,
    SLOT_RELEASE_SHAPE = 99,
    SLOT_RELEASE_SESSION_OPTIONS = 100,
    SLOT_ADD_SESSION_CONFIG_ENTRY = 130,
    SLOT_CREATE_AND_REGISTER_ALLOCATOR = 144,
    SLOT_ADD_RUN_CONFIG_ENTRY = 165,
};

// 1.17 is the first release with all operators that our graphs and published 4-bit models use (MatMulNBits); its table is
// version 17. Later releases hand out older tables.
enum { OLDEST_MINOR = 17 };

// OrtLoggingLevel's "fatal": whatever goes wrong is returned as a status too, and a log line of the library's own on
// standard error would be none of ours.
enum { LOG_FATAL = 4 };

// OrtAllocatorType "arena" and OrtMemType "default", which ONNX Runtime's own examples describe caller-owned memory with.
enum { ALLOCATOR_ARENA = 1, MEMORY_DEFAULT = 0 };

enum { ELEMENT_FLOAT = 1 };

// GraphOptimizationLevel ORT_ENABLE_ALL: exporters write plain operators, which the library then joins. Graphs of the
// engine's own have theirs joined already, and run as fast at any level.
enum { OPTIMIZE_ALL = 99 };

typedef void (*any_function)(void);
typedef void *status;

struct onnx_runtime {
    const any_function *api;
    const char *version;
    void *environment;
    void *memory;
    void *allocator;
    /// Options of runs that give their memory back. Runs only read them, so that all threads share them.
    void *giving_back;
};

struct onnx_session {
    const onnx_runtime *runtime;
    void *session;
    size_t input_count, output_count;
    char **input_names, **output_names;
    int32_t *input_types, *output_types;
    int64_t *output_widths;
};

// CALL(runtime, SLOT, (parameter types), (arguments)) for what returns a status; DROP for what releases.
#define CALL(runtime, slot, types, arguments) take_status((runtime), ((status(*) types)(runtime)->api[slot])arguments)
#define DROP(runtime, slot, object) (((void (*)(void *))(runtime)->api[slot])(object))

static char *message(const char *text) {
    char *copy = strdup(text);
    // Not even the message fits: nothing can be said, and NULL would mean that all went well.
    if (copy == NULL) abort();
    return copy;
}

static char *take_status(const onnx_runtime *runtime, status failure) {
    if (failure == NULL) return NULL;
    const char *text = ((const char *(*)(status))runtime->api[SLOT_GET_ERROR_MESSAGE])(failure);
    char *copy = message(text != NULL ? text : "ONNX Runtime gave no reason");
    DROP(runtime, SLOT_RELEASE_STATUS, failure);
    return copy;
}

// The library has one environment for each process, and lets go of its lock before the last user's release is done: whoever
// opened one meanwhile was refused.
static pthread_mutex_t environments = PTHREAD_MUTEX_INITIALIZER;

// glibc raises by itself, up to 32 MiB, what it maps apart and so gives back when it is freed (mallopt(3)); what runs and
// loads release would stay in holes of the heap, unless malloc_trim walked all of it, which holds every thread up. Its second
// bound is twice the first, as it sets them itself.
static void give_large_blocks_back(void) {
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_TRIM_THRESHOLD, 2 << 20);
#endif
}

char *onnx_runtime_open(const char *path, onnx_runtime **runtime) {
    *runtime = NULL;
    give_large_blocks_back();
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        const char *reason = dlerror();
        if (reason == NULL) return message("it cannot be loaded");
        // Callers name the path themselves.
        size_t length = strlen(path);
        int has_path = strncmp(reason, path, length) == 0 && strncmp(reason + length, ": ", 2) == 0;
        return message(has_path ? reason + length + 2 : reason);
    }
    // OrtApiBase: two functions, the oldest part of the interface (onnxruntime_c_api.h).
    const any_function *(*get_base)(void) = NULL;
    void *symbol = dlsym(library, "OrtGetApiBase");
    memcpy(&get_base, &symbol, sizeof get_base);
    const any_function *base = get_base != NULL ? get_base() : NULL;
    if (base == NULL) {
        dlclose(library);
        return message("it is a library, but not ONNX Runtime: it has no OrtGetApiBase");
    }
    const char *version = ((const char *(*)(void))base[1])();
    int major = 0, minor = 0;
    int fields = version != NULL ? sscanf(version, "%d.%d", &major, &minor) : 0;
    // Asked for a table it lacks, the library writes to standard error: its version is asked for first.
    int is_known = fields == 2 && (major > 1 || (major == 1 && minor >= OLDEST_MINOR));
    const any_function *api = is_known ? ((const any_function *(*)(uint32_t))base[0])(OLDEST_MINOR) : NULL;
    if (api == NULL) {
        char text[160];
        snprintf(text, sizeof text, is_known ? "it is ONNX Runtime %.40s, which no longer has version %d of its interface"
                                             : "it is ONNX Runtime %.40s; 1.%d or a later 1.x is needed",
                 version != NULL ? version : "of unknown version", OLDEST_MINOR);
        return message(text);
    }

    onnx_runtime *made = calloc(1, sizeof *made);
    if (made == NULL) return message("out of memory");
    made->api = api;
    made->version = version;
    pthread_mutex_lock(&environments);
    char *failure = CALL(made, SLOT_CREATE_ENV, (int, const char *, void **), (LOG_FATAL, "sextant", &made->environment));
    pthread_mutex_unlock(&environments);
    if (failure == NULL)
        failure = CALL(made, SLOT_CREATE_CPU_MEMORY_INFO, (int, int, void **),
                       (ALLOCATOR_ARENA, MEMORY_DEFAULT, &made->memory));
    if (failure == NULL) failure = CALL(made, SLOT_DEFAULT_ALLOCATOR, (void **), (&made->allocator));
    if (failure == NULL) failure = CALL(made, SLOT_CREATE_RUN_OPTIONS, (void **), (&made->giving_back));
    // The memory that all sessions' runs take theirs from, instead of each session keeping some of its own. The library has
    // one environment for each process: where it is open already, so is this, and the refusal means nothing.
    if (failure == NULL)
        free(CALL(made, SLOT_CREATE_AND_REGISTER_ALLOCATOR, (void *, const void *, const void *),
                  (made->environment, made->memory, NULL)));
    // Key and value: onnxruntime_run_options_config_keys.h.
    if (failure == NULL)
        failure = CALL(made, SLOT_ADD_RUN_CONFIG_ENTRY, (void *, const char *, const char *),
                       (made->giving_back, "memory.enable_memory_arena_shrinkage", "cpu:0"));
    if (failure != NULL) {
        onnx_runtime_close(made);
        return failure;
    }
    *runtime = made;
    return NULL;
}

void onnx_runtime_close(onnx_runtime *runtime) {
    if (runtime->giving_back != NULL) DROP(runtime, SLOT_RELEASE_RUN_OPTIONS, runtime->giving_back);
    if (runtime->memory != NULL) DROP(runtime, SLOT_RELEASE_MEMORY_INFO, runtime->memory);
    pthread_mutex_lock(&environments);
    if (runtime->environment != NULL) DROP(runtime, SLOT_RELEASE_ENV, runtime->environment);
    pthread_mutex_unlock(&environments);
    free(runtime);
}

const char *onnx_runtime_version(const onnx_runtime *runtime) { return runtime->version; }

// MARK: - Sessions

static char *set_entry(const onnx_runtime *runtime, void *options, const char *key, const char *value) {
    return CALL(runtime, SLOT_ADD_SESSION_CONFIG_ENTRY, (void *, const char *, const char *), (options, key, value));
}

static char *make_options(const onnx_runtime *runtime, void **options) {
    *options = NULL;
    char *failure = CALL(runtime, SLOT_CREATE_SESSION_OPTIONS, (void **), (options));
    if (failure == NULL) failure = CALL(runtime, SLOT_SET_INTRA_OP_THREADS, (void *, int), (*options, 1));
    if (failure == NULL) failure = CALL(runtime, SLOT_SET_INTER_OP_THREADS, (void *, int), (*options, 1));
    if (failure == NULL)
        failure = CALL(runtime, SLOT_SET_GRAPH_OPTIMIZATION_LEVEL, (void *, int), (*options, OPTIMIZE_ALL));
    // Keys: onnxruntime_session_options_config_keys.h. Threads that wait in a loop would take the cores of the event loops.
    if (failure == NULL) failure = set_entry(runtime, *options, "session.intra_op.allow_spinning", "0");
    if (failure == NULL) failure = set_entry(runtime, *options, "session.inter_op.allow_spinning", "0");
    // It joins an addition and a normalisation into SkipLayerNormalization, which on CPUs takes several times as long as
    // the two (measured with 1.32). Releases that do not know the key ignore it.
    if (failure == NULL)
        failure = set_entry(runtime, *options, "optimization.disable_specified_optimizers", "SkipLayerNormFusion");
    if (failure == NULL) failure = set_entry(runtime, *options, "session.use_env_allocators", "1");
    // Weights live as long as their session: beside the runs' memory, they leave no holes in it when it closes.
    if (failure == NULL)
        failure = set_entry(runtime, *options, "session.use_device_allocator_for_initializers", "1");
    // Plans of where a run's values lie are kept for every shape of input, without a bound.
    if (failure == NULL) failure = CALL(runtime, SLOT_DISABLE_MEM_PATTERN, (void *), (*options));
    if (failure != NULL && *options != NULL) {
        DROP(runtime, SLOT_RELEASE_SESSION_OPTIONS, *options);
        *options = NULL;
    }
    return failure;
}

/// Copies a name that the library allocated.
static char *read_name(const onnx_session *session, int slot, size_t index, char **name) {
    const onnx_runtime *runtime = session->runtime;
    char *theirs = NULL;
    char *failure = CALL(runtime, slot, (const void *, size_t, void *, char **),
                         (session->session, index, runtime->allocator, &theirs));
    if (failure != NULL) return failure;
    *name = message(theirs != NULL ? theirs : "");
    return CALL(runtime, SLOT_ALLOCATOR_FREE, (void *, void *), (runtime->allocator, theirs));
}

static char *read_input_type(const onnx_session *session, size_t index, int32_t *type) {
    const onnx_runtime *runtime = session->runtime;
    void *info = NULL;
    const void *tensor = NULL;
    char *failure = CALL(runtime, SLOT_INPUT_TYPE_INFO, (const void *, size_t, void **), (session->session, index, &info));
    if (failure == NULL) failure = CALL(runtime, SLOT_CAST_TYPE_INFO_TO_TENSOR, (const void *, const void **), (info, &tensor));
    if (failure == NULL && tensor != NULL) failure = CALL(runtime, SLOT_ELEMENT_TYPE, (const void *, int32_t *), (tensor, type));
    if (info != NULL) DROP(runtime, SLOT_RELEASE_TYPE_INFO, info);
    return failure;
}

static char *read_output_type(const onnx_session *session, size_t index, int32_t *type, int64_t *width) {
    const onnx_runtime *runtime = session->runtime;
    void *info = NULL;
    const void *tensor = NULL;
    size_t rank = 0;
    int64_t dimensions[ONNX_LARGEST_RANK];
    char *failure = CALL(runtime, SLOT_OUTPUT_TYPE_INFO, (const void *, size_t, void **), (session->session, index, &info));
    if (failure == NULL) failure = CALL(runtime, SLOT_CAST_TYPE_INFO_TO_TENSOR, (const void *, const void **), (info, &tensor));
    if (failure == NULL && tensor != NULL) failure = CALL(runtime, SLOT_ELEMENT_TYPE, (const void *, int32_t *), (tensor, type));
    if (failure == NULL && tensor != NULL)
        failure = CALL(runtime, SLOT_DIMENSIONS_COUNT, (const void *, size_t *), (tensor, &rank));
    if (failure == NULL && rank > 0 && rank <= ONNX_LARGEST_RANK) {
        failure = CALL(runtime, SLOT_DIMENSIONS, (const void *, int64_t *, size_t), (tensor, dimensions, rank));
        // What the file leaves open is negative.
        if (failure == NULL && dimensions[rank - 1] > 0) *width = dimensions[rank - 1];
    }
    if (info != NULL) DROP(runtime, SLOT_RELEASE_TYPE_INFO, info);
    return failure;
}

static char *describe(onnx_session *session) {
    const onnx_runtime *runtime = session->runtime;
    size_t inputs = 0, outputs = 0;
    char *failure = CALL(runtime, SLOT_INPUT_COUNT, (const void *, size_t *), (session->session, &inputs));
    if (failure == NULL) failure = CALL(runtime, SLOT_OUTPUT_COUNT, (const void *, size_t *), (session->session, &outputs));
    if (failure != NULL) return failure;
    session->input_names = calloc(inputs + 1, sizeof(char *));
    session->input_types = calloc(inputs + 1, sizeof(int32_t));
    session->output_names = calloc(outputs + 1, sizeof(char *));
    session->output_types = calloc(outputs + 1, sizeof(int32_t));
    session->output_widths = calloc(outputs + 1, sizeof(int64_t));
    if (session->input_names == NULL || session->input_types == NULL || session->output_names == NULL ||
        session->output_types == NULL || session->output_widths == NULL)
        return message("out of memory");
    session->input_count = inputs;
    session->output_count = outputs;
    for (size_t i = 0; i < inputs && failure == NULL; i++) {
        failure = read_name(session, SLOT_INPUT_NAME, i, &session->input_names[i]);
        if (failure == NULL) failure = read_input_type(session, i, &session->input_types[i]);
    }
    for (size_t i = 0; i < outputs && failure == NULL; i++) {
        failure = read_name(session, SLOT_OUTPUT_NAME, i, &session->output_names[i]);
        if (failure == NULL)
            failure = read_output_type(session, i, &session->output_types[i], &session->output_widths[i]);
    }
    return failure;
}

char *onnx_session_open(const onnx_runtime *runtime, const char *path, const void *model, size_t size,
                        onnx_session **session) {
    *session = NULL;
    onnx_session *made = calloc(1, sizeof *made);
    if (made == NULL) return message("out of memory");
    made->runtime = runtime;
    void *options = NULL;
    char *failure = make_options(runtime, &options);
    if (failure == NULL && path != NULL)
        failure = CALL(runtime, SLOT_CREATE_SESSION, (void *, const char *, const void *, void **),
                       (runtime->environment, path, options, &made->session));
    else if (failure == NULL)
        failure = CALL(runtime, SLOT_CREATE_SESSION_FROM_ARRAY, (void *, const void *, size_t, const void *, void **),
                       (runtime->environment, model, size, options, &made->session));
    if (options != NULL) DROP(runtime, SLOT_RELEASE_SESSION_OPTIONS, options);
    if (failure == NULL) failure = describe(made);
    if (failure != NULL) {
        onnx_session_close(made);
        return failure;
    }
    *session = made;
    return NULL;
}

void onnx_session_close(onnx_session *session) {
    for (size_t i = 0; i < session->input_count; i++) free(session->input_names[i]);
    for (size_t i = 0; i < session->output_count; i++) free(session->output_names[i]);
    free(session->input_names);
    free(session->input_types);
    free(session->output_names);
    free(session->output_types);
    free(session->output_widths);
    if (session->session != NULL) DROP(session->runtime, SLOT_RELEASE_SESSION, session->session);
    free(session);
}

size_t onnx_session_input_count(const onnx_session *session) { return session->input_count; }
const char *onnx_session_input_name(const onnx_session *session, size_t index) { return session->input_names[index]; }
int32_t onnx_session_input_type(const onnx_session *session, size_t index) { return session->input_types[index]; }
size_t onnx_session_output_count(const onnx_session *session) { return session->output_count; }
const char *onnx_session_output_name(const onnx_session *session, size_t index) { return session->output_names[index]; }
int32_t onnx_session_output_type(const onnx_session *session, size_t index) { return session->output_types[index]; }
int64_t onnx_session_output_width(const onnx_session *session, size_t index) { return session->output_widths[index]; }

// MARK: - Runs

static char *read_output(const onnx_runtime *runtime, onnx_output *output) {
    int is_tensor = 0;
    char *failure = CALL(runtime, SLOT_IS_TENSOR, (const void *, int *), (output->value, &is_tensor));
    if (failure != NULL) return failure;
    if (!is_tensor) return message("the output is not a tensor");
    void *shape = NULL;
    failure = CALL(runtime, SLOT_TYPE_AND_SHAPE, (const void *, void **), (output->value, &shape));
    if (failure != NULL) return failure;
    int32_t type = 0;
    failure = CALL(runtime, SLOT_ELEMENT_TYPE, (const void *, int32_t *), (shape, &type));
    if (failure == NULL) failure = CALL(runtime, SLOT_DIMENSIONS_COUNT, (const void *, size_t *), (shape, &output->rank));
    if (failure == NULL && type != ELEMENT_FLOAT) failure = message("the output is not of Float32");
    if (failure == NULL && output->rank > ONNX_LARGEST_RANK) failure = message("the output has more than 8 dimensions");
    if (failure == NULL)
        failure = CALL(runtime, SLOT_DIMENSIONS, (const void *, int64_t *, size_t), (shape, output->dimensions, output->rank));
    if (failure == NULL) failure = CALL(runtime, SLOT_ELEMENT_COUNT, (const void *, size_t *), (shape, &output->count));
    DROP(runtime, SLOT_RELEASE_SHAPE, shape);
    void *data = NULL;
    if (failure == NULL) failure = CALL(runtime, SLOT_TENSOR_DATA, (void *, void **), (output->value, &data));
    output->data = data;
    return failure;
}

enum { MOST_INPUTS = 8 };

char *onnx_session_run(const onnx_session *session, const onnx_input *inputs, size_t input_count, const char *output_name,
                       bool gives_back, onnx_output *output) {
    const onnx_runtime *runtime = session->runtime;
    memset(output, 0, sizeof *output);
    if (input_count > MOST_INPUTS) return message("a model with more than 8 inputs cannot be run");
    const char *names[MOST_INPUTS];
    void *values[MOST_INPUTS] = {NULL};
    char *failure = NULL;
    for (size_t i = 0; i < input_count && failure == NULL; i++) {
        names[i] = inputs[i].name;
        // The library only reads what a tensor of the caller's memory points to; its parameter is not const.
        failure = CALL(runtime, SLOT_CREATE_TENSOR_WITH_DATA,
                       (const void *, void *, size_t, const int64_t *, size_t, int, void **),
                       (runtime->memory, (void *)inputs[i].data, inputs[i].size, inputs[i].dimensions, inputs[i].rank,
                        inputs[i].type, &values[i]));
    }
    if (failure == NULL)
        failure = CALL(runtime, SLOT_RUN,
                       (void *, const void *, const char *const *, const void *const *, size_t, const char *const *, size_t,
                        void **),
                       (session->session, gives_back ? runtime->giving_back : NULL, names, (const void *const *)values,
                        input_count, &output_name, 1, &output->value));
    for (size_t i = 0; i < input_count; i++)
        if (values[i] != NULL) DROP(runtime, SLOT_RELEASE_VALUE, values[i]);
    if (failure == NULL) failure = read_output(runtime, output);
    if (failure != NULL) onnx_output_close(session, output);
    return failure;
}

void onnx_output_close(const onnx_session *session, onnx_output *output) {
    if (output->value != NULL) DROP(session->runtime, SLOT_RELEASE_VALUE, output->value);
    memset(output, 0, sizeof *output);
}
