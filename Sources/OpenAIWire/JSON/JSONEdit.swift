package import NIOCore

/// One change to a document, named by path so that it can be made without the document at hand.
///
/// Edits are the semantic router's answer to a request: both front ends apply them with
/// `[JSONEdit].applied(to:)`.
package enum JSONEdit: Hashable, Sendable {
    /// Puts `value` at the path.
    ///
    /// A key that stands more than once in its object gets the value at every place, so that a reader which takes the
    /// first one does not see the old value. A missing key is added at the end of its object; its parents must exist.
    case set(JSONPath, JSONFragment)

    /// Takes the member or element away, with its comma; of a key that stands more than once, all.
    /// A key that is not there is no error, an index that is not there is one.
    case remove(JSONPath)

    /// Puts `value` in front of the element `index` of the array at the path. `count` and `JSONEdit.end` append.
    /// Several inserts at one index keep their order.
    case insert(JSONPath, index: Int, JSONFragment)

    /// The index behind the last element.
    package static let end = -1

    package var path: JSONPath {
        switch self {
        case .set(let path, _), .remove(let path), .insert(let path, _, _): path
        }
    }
}

/// Why edits cannot be made. Names our own paths, never the document's content.
package enum JSONEditError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A step of the path leads nowhere: the key or index is missing, or its parent is not of that kind.
    case notFound(JSONPath)
    /// The path of an insert is no array.
    case notAnArray(JSONPath)
    /// An insert behind the end of its array.
    case outOfBounds(JSONPath, index: Int)
    /// The root cannot be removed.
    case removesRoot
    /// Two edits touch the same value, or one lies inside what another replaces or removes.
    case overlapping(JSONPath)

    package var description: String {
        switch self {
        case .notFound(let path): "there is no value at \(path)"
        case .notAnArray(let path): "\(path) is not an array"
        case .outOfBounds(let path, let index): "\(path) has no place \(index)"
        case .removesRoot: "the document itself cannot be removed"
        case .overlapping(let path): "the edit of \(path) touches what another edit changes"
        }
    }
}

extension [JSONEdit] {
    /// The document with all edits made, in one pass: every byte that no edit names is copied as it is, with its key
    /// order, whitespace, number spelling and escapes. Without edits, the document's own buffer.
    ///
    /// All paths speak of the document as it was, so that the order of edits does not matter, except among inserts at
    /// one index. A key in the middle of a path that stands more than once means its last occurrence, as everywhere;
    /// the earlier ones, which no path can name, are dropped so that no reader sees them unedited.
    ///
    /// - Complexity: O(bytes + edits · log edits): each container that edits lie in is walked once.
    package func applied(to document: JSONDocument) throws(JSONEditError) -> ByteBuffer {
        guard !isEmpty else { return document.bytes }
        var splices = JSONSplices()
        try JSONEditTree(self).collect(in: document.root, &splices)
        return splices.applied(to: document.bytes)
    }
}
