package import NIOCore
import Synchronization

/// A checked JSON document: its bytes, untouched, and a flat index over them.
///
/// Making one is a single strict pass (RFC 8259, UTF-8 only, no byte order mark) that copies nothing. Values are then
/// views into the bytes, decoded when somebody asks for them. Copying a document copies a reference.
///
/// - Note: a document shares the storage of the buffer it was made from. Writing to that buffer afterwards copies it.
/// - Complexity: O(bytes) to make, without recursion; 16 bytes of index per value and per key.
package struct JSONDocument: Sendable {
    let storage: JSONStorage

    package init(_ bytes: ByteBuffer, limits: JSONLimits = .standard) throws(JSONError) {
        storage = JSONStorage(bytes: bytes, nodes: try JSONScanner.index(bytes, limits: limits))
    }

    /// The bytes as they came.
    package var bytes: ByteBuffer { storage.bytes }

    /// The value that the document is.
    package var root: JSONValue { JSONValue(storage: storage, index: 0) }
}

/// What all views of a document share.
final class JSONStorage: Sendable {
    let bytes: ByteBuffer
    /// The values and keys in the order of their first bytes; never empty. A container is followed by what it holds:
    /// an object by key, value, key, value…
    let nodes: ContiguousArray<JSONNode>
    /// Made when somebody asks for a path, which most requests never do.
    private let knownPlaces = Mutex<ContiguousArray<JSONPlace>>([])

    init(bytes: ByteBuffer, nodes: ContiguousArray<JSONNode>) {
        self.bytes = bytes
        self.nodes = nodes
    }

    /// Calls `body` with the bytes of the node at `index`, quotes or brackets included.
    func withBytes<Result>(of index: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        let range = nodes[index].range
        return bytes.withUnsafeReadableBytes { body(UnsafeRawBufferPointer(rebasing: $0[range])) }
    }
}

extension JSONStorage {
    /// Where each node stands in its container.
    var places: ContiguousArray<JSONPlace> {
        knownPlaces.withLock { places in
            if places.isEmpty { places = findPlaces() }
            return places
        }
    }

    /// Each container gives its children their places. O(nodes): every node but the root is the child of one.
    private func findPlaces() -> ContiguousArray<JSONPlace> {
        var places = ContiguousArray(repeating: JSONPlace(parent: 0, position: 0), count: nodes.count)
        for container in nodes.indices {
            let end = Int(nodes[container].next)
            var child = container + 1
            switch nodes[container].kind {
            case .array:
                var position: UInt32 = 0
                while child < end {
                    places[child] = JSONPlace(parent: UInt32(container), position: position)
                    child = Int(nodes[child].next)
                    position += 1
                }
            case .object:
                while child < end {
                    let place = JSONPlace(parent: UInt32(container), position: UInt32(child))
                    places[child] = place
                    places[child + 1] = place
                    child = Int(nodes[child + 1].next)
                }
            default:
                break
            }
        }
        return places
    }
}

/// Where a node stands.
struct JSONPlace {
    /// The container's node.
    var parent: UInt32
    /// In an array, the number of elements before it; in an object, the key's node.
    var position: UInt32
}

/// One value or key of a document: 16 bytes.
struct JSONNode {
    /// The first byte.
    var start: UInt32
    /// The byte after the last one.
    var end: UInt32
    /// The node after this one and everything in it, so that skipping a subtree is one step.
    /// While the container is still open in the scanner: the container around it.
    var next: UInt32
    /// The kind in the low three bits, the flag above them.
    private var info: UInt32

    init(_ kind: JSONValue.Kind, start: Int, end: Int, next: Int, flag: Bool = false) {
        self.start = UInt32(truncatingIfNeeded: start)
        self.end = UInt32(truncatingIfNeeded: end)
        self.next = UInt32(truncatingIfNeeded: next)
        info = UInt32(kind.rawValue) | (flag ? 8 : 0)
    }

    var kind: JSONValue.Kind {
        // The low bits are only ever written from a kind's raw value.
        JSONValue.Kind(rawValue: UInt8(info & 7)).unsafelyUnwrapped
    }

    /// For a string: it holds an escape. For a number: it has a fraction or an exponent.
    var flag: Bool { info & 8 != 0 }

    var range: Range<Int> { Int(start)..<Int(end) }
}
