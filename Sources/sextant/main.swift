import RouterApp

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

exit(await Sextant.run(Array(CommandLine.arguments.dropFirst())))
