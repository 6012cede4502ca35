import COnnxRuntime
package import Resilience
import Synchronization

/// One model, ready to run. A run takes place on the calling thread and returns when it is done.
///
/// All properties are set once in `init`, and ONNX Runtime lets any number of threads run one session at once
/// (`OrtApi.Run` in its documentation): hence `Sendable`.
package final class InferenceSession: @unchecked Sendable {
    /// The file that errors name.
    package let file: String
    /// The output that a run returns.
    package let outputName: String
    /// That output's last dimension; nil if the model leaves it open.
    let outputWidth: Int?
    private let runtime: OnnxRuntime
    private let handle: OpaquePointer
    private let inputs: [Input]

    private struct Input {
        let role: Role
        let type: ElementType
    }

    /// What a model asks for, by the names that transformers gives (and with it every exporter).
    private enum Role: String, CaseIterable {
        case ids = "input_ids"
        case mask = "attention_mask"
        case types = "token_type_ids"
        case positions = "position_ids"
    }

    /// TensorProto.DataType (onnx.proto3), as far as tokens come in it.
    private enum ElementType: Int32 {
        case int32 = 6
        case int64 = 7
    }

    /// The same for answers: the one type that is read.
    private static let float: Int32 = 1

    /// From a model in memory, which is not needed afterwards.
    ///
    /// - Parameter file: what errors name.
    package convenience init(
        model: UnsafeRawBufferPointer,
        file: String,
        runtime: OnnxRuntime
    ) throws(EngineError) {
        guard let start = model.baseAddress, !model.isEmpty else {
            throw EngineError(.malformed, file, "an empty model")
        }
        try self.init(file: file, runtime: runtime) { session in
            onnx_session_open(runtime.handle, nil, start, model.count, &session)
        }
    }

    /// From an ONNX file, which may have further files beside it.
    package convenience init(file: String, runtime: OnnxRuntime) throws(EngineError) {
        try self.init(file: file, runtime: runtime) { session in
            onnx_session_open(runtime.handle, file, nil, 0, &session)
        }
    }

    private init(
        file: String,
        runtime: OnnxRuntime,
        open: (inout OpaquePointer?) -> UnsafeMutablePointer<CChar>?
    ) throws(EngineError) {
        var opened: OpaquePointer?
        try check(open(&opened), .malformed, file)
        guard let opened else { throw EngineError(.malformed, file, "it cannot be opened") }
        do throws(EngineError) {
            inputs = try Self.readInputs(opened, file)
            (outputName, outputWidth) = try Self.chooseOutput(opened, file)
        } catch {
            onnx_session_close(opened)
            throw error
        }
        handle = opened
        self.file = file
        self.runtime = runtime
    }

    deinit { onnx_session_close(handle) }

    private static func readInputs(_ session: OpaquePointer, _ file: String) throws(EngineError) -> [Input] {
        var inputs: [Input] = []
        for index in 0..<onnx_session_input_count(session) {
            let name = String(cString: onnx_session_input_name(session, index))
            guard let role = Role(rawValue: name) else {
                let known = Role.allCases.map(\.rawValue).joined(separator: ", ")
                throw EngineError(.unsupported, file, "the model asks for \"\(name)\"; what can be given: \(known)")
            }
            let number = onnx_session_input_type(session, index)
            guard let type = ElementType(rawValue: number) else {
                throw EngineError(.unsupported, file, "input \"\(name)\" is of ONNX type \(number), not int32 or int64")
            }
            inputs.append(Input(role: role, type: type))
        }
        guard inputs.contains(where: { $0.role == .ids }) else {
            throw EngineError(.unsupported, file, "the model has no input \"input_ids\"")
        }
        return inputs
    }

    /// The names that exporters give, best first: a head's answer, then hidden states; else the model's first output.
    private static func chooseOutput(_ session: OpaquePointer, _ file: String) throws(EngineError) -> (String, Int?) {
        let outputs = (0..<onnx_session_output_count(session))
            .filter { onnx_session_output_type(session, $0) == float }
            .map { (index: $0, name: String(cString: onnx_session_output_name(session, $0))) }
        let preferred = ["logits", "sentence_embedding", "last_hidden_state", "token_embeddings"]
        let best = preferred.lazy.compactMap { name in outputs.first { $0.name == name } }.first
        guard let output = best ?? outputs.first else {
            throw EngineError(.unsupported, file, "the model has no output of Float32; export it with float32 outputs")
        }
        let width = Int(onnx_session_output_width(session, output.index))
        return (output.name, width > 0 ? width : nil)
    }

    /// Runs the model and hands its answer to `body`, where the borrowed numbers are valid.
    ///
    /// - Parameter positions: how this model numbers places; only asked for if it has such an input.
    package func run<Result>(
        _ batch: TokenBatch,
        positions: PositionRule,
        _ body: (InferenceOutput) throws(EngineError) -> Result
    ) throws(EngineError) -> Result {
        guard batch.count > 0, batch.lengths.allSatisfy({ $0 > 0 }) else {
            throw EngineError(.input, file, "a batch without tokens")
        }
        let isLarge = RunMemory.isLarge(tokens: batch.ids.count, width: batch.width)
        let givesBack = !isLarge && sharedMemory.withLock { $0.takeGivingBack(at: .now()) }
        defer { if isLarge { sharedMemory.withLock { $0.largeRunEnded(at: .now()) } } }
        var output = onnx_output()
        let shape = [Int64(batch.count), Int64(batch.width)]
        // All inputs lie one after the other in one block, which outlives the call.
        let slot = batch.ids.count * MemoryLayout<Int64>.stride
        let failure = withUnsafeTemporaryAllocation(
            byteCount: max(slot * inputs.count, 1),
            alignment: MemoryLayout<Int64>.alignment
        ) { block in
            shape.withUnsafeBufferPointer { shape in
                var tensors: [onnx_input] = []
                tensors.reserveCapacity(inputs.count)
                for (index, input) in inputs.enumerated() {
                    let part = UnsafeMutableRawBufferPointer(rebasing: block[index * slot..<(index + 1) * slot])
                    let values = values(of: input.role, batch, positions)
                    let size =
                        switch input.type {
                        case .int32: part.store(values, as: Int32.self)
                        case .int64: part.store(values, as: Int64.self)
                        }
                    tensors.append(
                        onnx_input(
                            name: onnx_session_input_name(handle, index),
                            data: UnsafeRawPointer(part.baseAddress ?? block.baseAddress.unsafelyUnwrapped),
                            size: size,
                            dimensions: shape.baseAddress.unsafelyUnwrapped,
                            rank: shape.count,
                            type: input.type.rawValue
                        )
                    )
                }
                return onnx_session_run(handle, tensors, tensors.count, outputName, givesBack, &output)
            }
        }
        try check(failure, .inference, file)
        defer { onnx_output_close(handle, &output) }
        let dimensions = withUnsafeBytes(of: output.dimensions) { raw in
            raw.bindMemory(to: Int64.self).prefix(output.rank).map { Int($0) }
        }
        return try body(
            InferenceOutput(values: UnsafeBufferPointer(start: output.data, count: output.count), shape: dimensions)
        )
    }

    private func values(of role: Role, _ batch: TokenBatch, _ positions: PositionRule) -> [Int32] {
        switch role {
        case .ids: batch.ids
        case .mask: batch.mask
        case .types: batch.types
        case .positions: batch.positions(positions)
        }
    }
}

/// What a run answered: borrowed from the library, valid within the closure that gets it.
package struct InferenceOutput {
    /// Row-major.
    package let values: UnsafeBufferPointer<Float>
    package let shape: [Int]
}

/// The library has one memory for the runs of all sessions.
private let sharedMemory = Mutex(RunMemory())

/// When the memory that runs have needed goes back to the system. Until then it serves the next ones: to take it anew for
/// every long text would cost a tenth of the run's time.
package struct RunMemory: Sendable {
    /// When the last large run ended, if its memory has not been given back.
    private var lastLarge: MonotonicTime?

    /// 5 s without a large run, and the next small one gives back what they needed.
    package static let patience = Duration.seconds(5)
    /// Tokens times width of the largest batch whose memory is kept for good: 512 tokens of one text, or 2,048 of short
    /// ones, for which MiniLM takes 59 MiB.
    private static let largestKept = 1 << 18
    /// Attention takes memory by tokens times width; of batches narrower than this, the rest takes more.
    private static let shortWidth = 128

    package init() {}

    package static func isLarge(tokens: Int, width: Int) -> Bool { tokens * max(width, shortWidth) > largestKept }

    /// A large run has ended.
    package mutating func largeRunEnded(at now: MonotonicTime) { lastLarge = now }

    /// Whether a small run that begins is to give memory back: one is, for all large ones before it.
    package mutating func takeGivingBack(at now: MonotonicTime) -> Bool {
        guard let last = lastLarge, last.elapsed(until: now) >= Self.patience else { return false }
        lastLarge = nil
        return true
    }
}

extension UnsafeMutableRawBufferPointer {
    /// Writes the values in the given type from the start on, and returns how many bytes that took.
    fileprivate func store<Element: FixedWidthInteger>(_ values: [Int32], as type: Element.Type) -> Int {
        for (index, value) in values.enumerated() {
            storeBytes(of: Element(value), toByteOffset: index * MemoryLayout<Element>.stride, as: type)
        }
        return values.count * MemoryLayout<Element>.stride
    }
}
