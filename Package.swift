// swift-tools-version: 6.2
import PackageDescription

/// Every target compiles under the same rules; see docs/architecture.md for who may import whom.
let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioTLS = Target.Dependency.product(name: "NIOTLS", package: "swift-nio")
let nioHTTP2 = Target.Dependency.product(name: "NIOHTTP2", package: "swift-nio-http2")
let nioHPACK = Target.Dependency.product(name: "NIOHPACK", package: "swift-nio-http2")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let tracing = Target.Dependency.product(name: "Tracing", package: "swift-distributed-tracing")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")

/// Links the Swift runtime and Foundation into the executable. What modules that were compiled for shared libraries do not
/// ask for by themselves is named here.
let staticRuntime = [
    "-static-stdlib", "-lCoreFoundation", "-l_FoundationICU", "-l_FoundationCShims", "-l_FoundationCollections",
]

func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency] = [], resources: [Resource] = []) -> Target {
    .testTarget(
        name: "\(name)Tests",
        dependencies: [.byName(name: name)] + dependencies,
        resources: resources,
        swiftSettings: settings
    )
}

let package = Package(
    name: "sextant",
    platforms: [.macOS(.v15)],
    products: [.executable(name: "sextant", targets: ["sextant"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-http2", exact: "1.46.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", exact: "2.37.6"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
        // Without its default traits it does not link all of Foundation.
        .package(url: "https://github.com/apple/swift-protobuf", exact: "1.39.0", traits: []),
        .package(url: "https://github.com/apple/swift-distributed-tracing", exact: "1.7.3"),
    ],
    targets: [
        // Ground
        library("OpenAIWire", [nioCore, nioHTTP1]),
        library("ConfigKit", [yams]),
        library("Resilience"),
        library("Instruments"),
        library("TextMatching"),
        .target(name: "CLanguageModel"),
        library("LanguageDetection", ["CLanguageModel"]),
        library("Tokenizers", ["OpenAIWire", nioCore]),
        .target(name: "COnnxRuntime"),
        library("EnvoyAPI", [protobuf]),
        library("OTLPAPI", [protobuf]),
        library("Credentials", [crypto, nioHTTP1]),
        // Deep parts
        library("Transport", [nioCore, nioPosix, nioSSL]),
        library("HTTPTransport", ["Transport", "OpenAIWire", nioCore, nioPosix, nioHTTP1, nioTLS, nioSSL]),
        library(
            "ClassifierEngine",
            [
                "COnnxRuntime", "OpenAIWire", "ConfigKit", "Resilience", "Instruments", "Tokenizers", "Transport",
                "HTTPTransport", nioCore, nioHTTP1,
            ]
        ),
        library(
            "GRPCTransport",
            ["Transport", "Resilience", nioCore, nioPosix, nioTLS, nioHTTP2, nioHPACK, nioSSL]
        ),
        // Domain
        library(
            "SemanticRouter",
            ["OpenAIWire", "ConfigKit", "Instruments", "TextMatching", "LanguageDetection", nioCore]
        ),
        library(
            "InferenceRouter",
            ["OpenAIWire", "Resilience", "Instruments", "Transport", "HTTPTransport", logging, nioCore, nioHTTP1]
        ),
        // Front ends
        library(
            "ExtProcServer",
            [
                "SemanticRouter", "OpenAIWire", "ConfigKit", "Instruments", "Transport", "GRPCTransport", nioCore,
            ]
        ),
        library(
            "Gateway",
            [
                "SemanticRouter", "InferenceRouter", "OpenAIWire", "ConfigKit", "Instruments", "HTTPTransport",
                "Credentials", nioCore, nioHTTP1,
            ]
        ),
        library("SimWorker", ["OpenAIWire", "Instruments", "HTTPTransport", nioCore, nioHTTP1]),
        library("AdminAPI", ["OpenAIWire", "HTTPTransport", "Credentials", nioCore, nioHTTP1]),
        library(
            "Telemetry",
            [
                "OpenAIWire", "Instruments", "ConfigKit", "Resilience", "OTLPAPI", "Transport", "HTTPTransport",
                "GRPCTransport", logging, tracing, protobuf, nioCore, nioHTTP1,
            ]
        ),
        // Assembly
        library(
            "RouterApp",
            [
                "OpenAIWire", "ConfigKit", "Resilience", "Instruments", "Transport", "HTTPTransport", "GRPCTransport",
                "SemanticRouter", "InferenceRouter", "LanguageDetection", "Credentials", "ExtProcServer", "Gateway",
                "AdminAPI", "ClassifierEngine", "SimWorker", "Telemetry", crypto, logging, tracing, nioCore, nioPosix,
                nioHTTP1,
            ]
        ),
        .executableTarget(
            name: "sextant",
            dependencies: ["RouterApp"],
            swiftSettings: settings,
            // Only the executable is linked statically: Swift Testing exists as a shared library only, and other flags
            // for tests would mean a second build of everything.
            linkerSettings: [.unsafeFlags(staticRuntime, .when(platforms: [.linux]))]
        ),
        // Measures the language detector for scripts/language/evaluate-language-model.
        .executableTarget(
            name: "language-probe",
            dependencies: ["LanguageDetection"],
            swiftSettings: settings,
            // Without optimisation, square roots are a call.
            linkerSettings: [.linkedLibrary("m")]
        ),
        // Measures the classifier engine for Benchmarks/models.py.
        .executableTarget(
            name: "classifier-probe",
            dependencies: ["ClassifierEngine", "Tokenizers", "Instruments", "Resilience"],
            swiftSettings: settings
        ),
        // Tests
        library("TestRandom"),
        library("EnvoyModel", ["ExtProcServer", "GRPCTransport", nioCore]),
        .target(
            name: "TestSupport",
            dependencies: [
                "RouterApp", "SimWorker", "Transport", "HTTPTransport", "OpenAIWire", "Instruments", "ConfigKit",
                "OTLPAPI", logging, protobuf, nioCore, nioPosix, nioHTTP1, nioHTTP2, nioHPACK, nioSSL,
            ],
            resources: [.copy("Certificates")],
            swiftSettings: settings
        ),
        tests("OpenAIWire", ["TestRandom", nioCore, nioHTTP1]),
        tests("Resilience", ["TestRandom"]),
        tests("ConfigKit", ["TestRandom"]),
        tests("Instruments", ["TestRandom"]),
        tests(
            "Telemetry",
            [
                "SemanticRouter", "Instruments", "ConfigKit", "Resilience", "OTLPAPI", "Transport", "HTTPTransport",
                "GRPCTransport", "TestSupport", "TestRandom", logging, tracing, protobuf, nioCore, nioPosix, nioHTTP1,
            ]
        ),
        tests("HTTPTransport", ["TestSupport", "Transport", nioCore, nioPosix, nioHTTP1]),
        tests(
            "GRPCTransport",
            ["TestSupport", "TestRandom", "Transport", "Resilience", nioCore, nioPosix, nioHTTP2, nioHPACK]
        ),
        tests(
            "SimWorker",
            [
                "TestSupport", "TestRandom", "Transport", "HTTPTransport", "OpenAIWire", "Instruments", nioCore,
                nioPosix,
                nioHTTP1,
            ]
        ),
        tests("TextMatching", ["TestRandom"], resources: [.copy("Fixtures")]),
        tests("LanguageDetection"),
        tests("Tokenizers", ["OpenAIWire", "TestRandom", nioCore], resources: [.copy("Fixtures")]),
        tests(
            "ClassifierEngine",
            [
                "OpenAIWire", "ConfigKit", "Resilience", "Instruments", "Tokenizers", "Transport", "HTTPTransport",
                "SimWorker", "TestSupport", "TestRandom", nioCore, nioPosix, nioHTTP1,
            ],
            resources: [.copy("Fixtures")]
        ),
        tests(
            "SemanticRouter",
            ["ConfigKit", "Instruments", "OpenAIWire", "TestRandom", nioCore, nioHTTP1],
            resources: [.copy("Fixtures")]
        ),
        tests(
            "InferenceRouter",
            ["Instruments", "Transport", "HTTPTransport", "OpenAIWire", "Resilience", nioHTTP1]
        ),
        tests(
            "ExtProcServer",
            [
                "EnvoyAPI", "EnvoyModel", "SemanticRouter", "OpenAIWire", "ConfigKit", "Instruments", "Transport",
                "GRPCTransport", "TestRandom", nioCore, protobuf,
            ]
        ),
        tests("Gateway", ["OpenAIWire", "Credentials", nioCore, nioHTTP1]),
        tests("AdminAPI", ["OpenAIWire", "HTTPTransport", "Credentials", nioCore, nioPosix, nioHTTP1]),
        tests("RouterApp"),
        .testTarget(
            name: "IntegrationTests",
            dependencies: [
                "TestSupport", "EnvoyModel", "ExtProcServer", "SemanticRouter", "Transport", "RouterApp", "AdminAPI",
                "Credentials", "SimWorker", "HTTPTransport", "GRPCTransport", "ConfigKit", "OpenAIWire", "Instruments",
                logging, nioCore, nioPosix, nioHTTP1, nioHTTP2,
            ],
            swiftSettings: settings
        ),
    ]
)
