/// A pattern as a nondeterministic machine over bytes. Each instruction goes on to others; where there are two, the
/// first is preferred.
struct PatternProgram: Sendable {
    struct Instruction: Sendable {
        enum Operation: UInt8, Sendable {
            /// Takes a byte and goes where the edge that has it leads, else nowhere. `first` edge, `second` edges.
            case take
            /// Goes on at `first` and, less preferred, at `second`, without taking a byte.
            case fork
            /// Goes on at `first` if the assertions `second` hold.
            case check
            case match
        }

        var operation: Operation
        var first: Int32 = 0
        var second: Int32 = 0
    }

    /// The bytes from `low` to `high`, and where they lead. The edges of an instruction are in order and disjoint.
    struct Edge: Sendable {
        var low: UInt8
        var high: UInt8
        var target: Int32
    }

    let instructions: ContiguousArray<Instruction>
    let edges: ContiguousArray<Edge>
    /// Where a match begins.
    let start: Int32
    /// Where a search begins: `start`, or, less preferred, any byte and again.
    let search: Int32
    /// All that `check` instructions ask for.
    let assertions: Assertions
    /// Whether a match can only begin at the start of the text.
    let isAnchored: Bool
    /// The bytes that a match can begin with; nil if it may be empty.
    let firstBytes: ByteStops?
}
