#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// What the process may take from the machine.
enum ProcessLimits {
    /// Raises the limit on open files to what the system allows: every connection is one.
    static func raiseFileLimit() {
        var limit = rlimit()
        #if canImport(Glibc)
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        #else
        let resource = RLIMIT_NOFILE
        #endif
        guard getrlimit(resource, &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(resource, &limit)
    }
}

/// The version that `--version`, `/version` and the logs show.
package enum Version {
    package static let text = "0.1.0"
}
