import COnnxRuntime

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// The ONNX Runtime library, opened by path: nothing links it, so that a process without models needs no such file.
///
/// Its one property never changes after `init`, and ONNX Runtime's environment may be used by any number of threads at
/// once (its C API's documentation): hence `Sendable`.
package final class OnnxRuntime: @unchecked Sendable {
    let handle: OpaquePointer
    /// The library's file.
    package let path: String
    /// As the library says it: "1.32.0".
    package let version: String

    /// Loads the library; it stays in the process for good. Opening the same file again is cheap.
    package init(path: String) throws(EngineError) {
        // To dlopen, no name is the program itself.
        guard !path.isEmpty else { throw EngineError(.library, path, "no path to libonnxruntime is given") }
        var opened: OpaquePointer?
        try check(onnx_runtime_open(path, &opened), .library, path)
        guard let opened else { throw EngineError(.library, path, "it cannot be opened") }
        handle = opened
        self.path = path
        version = String(cString: onnx_runtime_version(opened))
    }

    deinit { onnx_runtime_close(handle) }
}

/// Throws the message that a function of the C target returned, if it did, and releases it.
func check(_ failure: UnsafeMutablePointer<CChar>?, _ reason: EngineError.Reason, _ file: String) throws(EngineError) {
    guard let failure else { return }
    defer { free(failure) }
    throw EngineError(reason, file, String(cString: failure))
}
