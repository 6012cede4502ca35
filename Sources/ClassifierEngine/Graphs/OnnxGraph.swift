/// An ONNX model under construction, in one buffer. Fields' numbers are those of onnx.proto3 (onnx/onnx); fields may come in
/// any order, so that weights and operators are written as they come.
struct OnnxGraph {
    /// The name of a tensor in the graph.
    struct Value {
        let name: String
        /// An optional input that is not given.
        static let none = Value(name: "")
    }

    enum Attribute {
        case int(Int)
        case float(Float)
    }

    /// TensorProto.DataType.
    enum ElementType: Int {
        case float = 1
        case int8 = 3
        case int32 = 6
        case int64 = 7
    }

    enum Domain: String {
        case onnx = ""
        /// Operators that ONNX Runtime adds (docs/ContribOperators.md in its repository).
        case microsoft = "com.microsoft"
    }

    let quantization: Quantization?
    private var writer: ProtobufWriter
    private let start: Int
    private var count = 0

    /// - Parameter capacity: about how many bytes the weights will take.
    init(quantization: Quantization?, capacity: Int) {
        self.quantization = quantization
        // Operators and names take some ten kilobytes.
        writer = ProtobufWriter(capacity: capacity + 1 << 16)
        start = writer.open(7)  // ModelProto.graph
        writer.field(2, string: "encoder")
    }

    /// The finished ModelProto.
    consuming func model() -> [UInt8] {
        writer.close(start)
        // IR version 8 and operator set 17 (ONNX 1.12) have LayerNormalization; every ONNX Runtime from 1.17 on reads them.
        writer.field(1, int: 8)
        writer.field(2, string: "sextant")
        for (domain, version) in [(Domain.onnx, 17), (.microsoft, 1)] {
            writer.field(8) {
                $0.field(1, string: domain.rawValue)
                $0.field(2, int: version)
            }
        }
        return writer.bytes
    }

    // MARK: Inputs and outputs

    /// An input of shape [batch, length].
    mutating func input(_ name: String, _ type: ElementType) -> Value {
        writer.field(11) { value in
            value.field(1, string: name)
            value.field(2) { proto in
                proto.field(1) { tensor in
                    tensor.field(1, int: type.rawValue)
                    tensor.field(2) { shape in
                        for dimension in ["batch", "length"] { shape.field(1) { $0.field(2, string: dimension) } }
                    }
                }
            }
        }
        return Value(name: name)
    }

    /// Makes a value of Float32 an output under the given name.
    mutating func output(_ value: Value, as name: String) {
        add("Identity", [value], outputs: [name])
        writer.field(12) { info in
            info.field(1, string: name)
            info.field(2) { proto in proto.field(1) { $0.field(1, int: ElementType.float.rawValue) } }
        }
    }

    // MARK: Weights

    mutating func constant(_ values: [Float], _ shape: [Int]) -> Value { initializer(.float, shape, values) }
    mutating func constant(_ values: [Int64], _ shape: [Int]) -> Value { initializer(.int64, shape, values) }
    mutating func constant(_ values: [Int8], _ shape: [Int]) -> Value { initializer(.int8, shape, values) }

    private mutating func initializer<Element>(_ type: ElementType, _ shape: [Int], _ values: [Element]) -> Value {
        let name = nextName("w")
        values.withUnsafeBytes { raw in
            writer.field(5) { tensor in
                for extent in shape { tensor.field(1, int: extent) }
                tensor.field(2, int: type.rawValue)
                tensor.field(8, string: name)
                // raw_data: little-endian, as every platform that Swift runs on.
                tensor.field(9, bytes: raw)
            }
        }
        return Value(name: name)
    }

    // MARK: Operators

    mutating func node(
        _ operation: String,
        _ inputs: Value...,
        domain: Domain = .onnx,
        attributes: [(String, Attribute)] = []
    ) -> Value {
        let name = nextName("v")
        add(operation, inputs, outputs: [name], domain: domain, attributes: attributes)
        return Value(name: name)
    }

    /// Cuts a value along its last axis.
    mutating func split(_ value: Value, into sizes: [Int]) -> [Value] {
        let names = sizes.map { _ in nextName("v") }
        let sizes = constant(sizes.map(Int64.init), [sizes.count])
        add("Split", [value, sizes], outputs: names, attributes: [("axis", .int(-1))])
        return names.map(Value.init)
    }

    mutating func add(
        _ operation: String,
        _ inputs: [Value],
        outputs: [String],
        domain: Domain = .onnx,
        attributes: [(String, Attribute)] = []
    ) {
        writer.field(1) { node in
            for input in inputs { node.field(1, string: input.name) }
            for output in outputs { node.field(2, string: output) }
            node.field(4, string: operation)
            for (name, attribute) in attributes {
                node.field(5) { proto in
                    proto.field(1, string: name)
                    // AttributeProto.type: FLOAT 1, INT 2.
                    switch attribute {
                    case .float(let value):
                        proto.field(2, float: value)
                        proto.field(20, int: 1)
                    case .int(let value):
                        proto.field(3, int: value)
                        proto.field(20, int: 2)
                    }
                }
            }
            if domain != .onnx { node.field(7, string: domain.rawValue) }
        }
    }

    mutating func nextName(_ kind: String) -> String {
        count += 1
        return "\(kind)\(count)"
    }
}
