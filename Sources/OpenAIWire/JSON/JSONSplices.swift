import NIOCore

/// Changes of a document's bytes: replace this range by those bytes. Ranges never overlap.
struct JSONSplices {
    /// A value on its way into a container, with its key if that is an object.
    struct Addition {
        /// The child it stands in front of; the number of children, or more, at the end.
        var position: Int
        var key: String?
        var value: ByteBuffer
    }

    private struct Splice {
        /// Empty for an insertion.
        var range: Range<Int>
        var replacement: Replacement
    }

    fileprivate enum Replacement {
        case nothing
        case value(ByteBuffer)
        /// Values to put before something that stays: each followed by a comma.
        case leading(ArraySlice<Addition>)
        /// Values to put behind something that stays: each preceded by a comma.
        case trailing(ArraySlice<Addition>)
        /// The only values of a container.
        case filling(ArraySlice<Addition>)
    }

    private var splices: [Splice] = []

    mutating func replace(_ range: Range<Int>, by value: ByteBuffer) {
        splices.append(Splice(range: range, replacement: .value(value)))
    }

    /// Takes children out of the container at `container` and puts others in.
    ///
    /// Commas belong to the gaps between children that stay: a removed child takes along the gap before it, or the gap
    /// behind it where nothing in front of it stays.
    ///
    /// - Parameters:
    ///   - children: the ranges of the elements, or of the members from key to value, in order.
    ///   - removed: which of them go, in order.
    ///   - added: what comes; at one position in the order given.
    mutating func change(_ container: Range<Int>, children: [Range<Int>], removed: [Int], added: [Addition]) {
        guard !removed.isEmpty || !added.isEmpty else { return }
        var leaving = removed[...]
        var coming = JSONSplices.inOrder(added)[...]
        var lastKept: Int?
        for (index, child) in children.enumerated() {
            if leaving.first == index {
                leaving = leaving.dropFirst()
                remove(index, of: children, isBehindKept: lastKept != nil)
                continue
            }
            lastKept = index
            let leading = coming.prefix { $0.position <= index }
            guard !leading.isEmpty else { continue }
            coming = coming.dropFirst(leading.count)
            insert(.leading(leading), at: child.lowerBound)
        }
        guard !coming.isEmpty else { return }
        if let lastKept {
            insert(.trailing(coming), at: children[lastKept].upperBound)
        } else {
            insert(.filling(coming), at: children.first?.lowerBound ?? container.lowerBound + 1)
        }
    }

    private mutating func remove(_ index: Int, of children: [Range<Int>], isBehindKept: Bool) {
        let child = children[index]
        let range: Range<Int>
        if isBehindKept {
            range = children[index - 1].upperBound..<child.upperBound
        } else if index + 1 < children.count {
            range = child.lowerBound..<children[index + 1].lowerBound
        } else {
            range = child
        }
        splices.append(Splice(range: range, replacement: .nothing))
    }

    private mutating func insert(_ replacement: Replacement, at offset: Int) {
        splices.append(Splice(range: offset..<offset, replacement: replacement))
    }

    /// By position, and at one position as they were.
    private static func inOrder(_ added: [Addition]) -> [Addition] {
        guard added.count > 1 else { return added }
        return added.enumerated()
            .sorted { ($0.element.position, $0.offset) < ($1.element.position, $1.offset) }
            .map(\.element)
    }

    /// The bytes of `source` with all changes made.
    /// - Complexity: O(bytes + changes · log changes).
    consuming func applied(to source: ByteBuffer) -> ByteBuffer {
        // Only an insertion may start where another change does: it goes first.
        splices.sort { left, right in
            (left.range.lowerBound, left.range.upperBound) < (right.range.lowerBound, right.range.upperBound)
        }
        let size = splices.reduce(source.readableBytes) { $0 - $1.range.count + $1.replacement.sizeHint }
        var target = ByteBufferAllocator().buffer(capacity: size)
        source.withUnsafeReadableBytes { bytes in
            var position = 0
            for splice in splices {
                target.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[position..<splice.range.lowerBound]))
                splice.replacement.write(to: &target)
                position = splice.range.upperBound
            }
            target.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[position...]))
        }
        return target
    }
}

extension JSONSplices.Addition {
    fileprivate func write(to buffer: inout ByteBuffer) {
        if let key {
            buffer.writeJSONString(key)
            buffer.writeStaticString(":")
        }
        buffer.writeImmutableBuffer(value)
    }

    /// Quotes, colon and comma; a key with escapes grows beyond the hint.
    fileprivate var sizeHint: Int { (key?.utf8.count ?? 0) + value.readableBytes + 4 }
}

extension JSONSplices.Replacement {
    fileprivate func write(to buffer: inout ByteBuffer) {
        switch self {
        case .nothing:
            break
        case .value(let value):
            buffer.writeImmutableBuffer(value)
        case .leading(let additions):
            for addition in additions {
                addition.write(to: &buffer)
                buffer.writeStaticString(",")
            }
        case .trailing(let additions):
            for addition in additions {
                buffer.writeStaticString(",")
                addition.write(to: &buffer)
            }
        case .filling(let additions):
            for (index, addition) in additions.enumerated() {
                if index > 0 { buffer.writeStaticString(",") }
                addition.write(to: &buffer)
            }
        }
    }

    fileprivate var sizeHint: Int {
        switch self {
        case .nothing: 0
        case .value(let value): value.readableBytes
        case .leading(let additions), .trailing(let additions), .filling(let additions):
            additions.reduce(0) { $0 + $1.sizeHint }
        }
    }
}
