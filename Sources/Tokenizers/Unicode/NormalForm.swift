/// The normalisation forms of UAX #15, with the reference's account of what comes from where.
///
/// A text is walked over in segments: a segment begins where nothing before can change with what comes. One whose first
/// scalar stands alone and does not decompose is copied; only the others are worked on. So a text that is in its form
/// already costs a look-up a scalar, and a run of marks without end is sorted once.
enum NormalForm: Sendable {
    case canonicalDecomposition
    case canonicalComposition
    case compatibilityDecomposition
    case compatibilityComposition

    private var composes: Bool { self == .canonicalComposition || self == .compatibilityComposition }
    private var isCompatible: Bool { self == .compatibilityDecomposition || self == .compatibilityComposition }

    private var boundary: ScalarProperties.Flag {
        switch self {
        case .canonicalDecomposition: .boundaryD
        case .canonicalComposition: .boundaryC
        case .compatibilityDecomposition: .boundaryKD
        case .compatibilityComposition: .boundaryKC
        }
    }

    private var decomposes: ScalarProperties.Flag { isCompatible ? .decomposesCompatibly : .decomposes }

    /// - Complexity: O(n log m) for n bytes, with at most m marks on a character.
    func apply(to text: inout AlignedText) {
        guard let first = firstChange(in: text) else { return }
        let bytes = text.bytes
        text.rewrite { rewriter in
            rewriter.keep(upTo: first)
            var segment = Segment(form: self)
            while let scalar = rewriter.peek() {
                segment.gather(scalar, bytes, from: rewriter.position)
                if segment.isPlain { rewriter.keep() } else { segment.write(to: &rewriter) }
            }
        }
    }

    /// Where the first segment begins that is not a single scalar without decomposition; nil when all are.
    private func firstChange(in text: AlignedText) -> Int? {
        let tables = UnicodeTables.standard
        var start = 0
        var index = 0
        while index < text.count {
            let byte = text.bytes[index]
            if byte < 0x80 {
                start = index
                index += 1
                continue
            }
            let properties = tables.properties(of: UTF8Scalars.decode(text.bytes, at: index))
            // A scalar that does not begin a segment belongs to the one before it.
            guard properties.has(boundary) else { return start }
            if properties.has(decomposes) { return index }
            start = index
            index += UTF8Scalars.length(of: byte)
        }
        return nil
    }

    /// The scalars that are worked on together.
    private struct Segment {
        private let form: NormalForm
        private let tables = UnicodeTables.standard
        /// How many scalars of the old text there are, and whether one of them decomposes.
        private var gathered = 0
        private var changes = false
        private var units: [Unit] = []

        /// A scalar of the new text.
        private struct Unit {
            var scalar: UInt32
            var combiningClass: UInt8
            /// The characters of the old text that it stands for, less one: the reference's count.
            var change: Int
        }

        init(form: NormalForm) { self.form = form }

        /// Whether the segment stays as it is.
        var isPlain: Bool { gathered == 1 && !changes }

        /// Takes in what begins at `start` with `scalar`.
        mutating func gather(_ scalar: UInt32, _ bytes: [UInt8], from start: Int) {
            gathered = 0
            changes = false
            units.removeAll(keepingCapacity: true)
            var scalar = scalar
            var index = start
            while true {
                add(scalar, tables.properties(of: scalar))
                gathered += 1
                index += UTF8Scalars.length(of: bytes[index])
                guard index < bytes.count else { break }
                scalar = UTF8Scalars.decode(bytes, at: index)
                if tables.properties(of: scalar).has(form.boundary) { break }
            }
        }

        private mutating func add(_ scalar: UInt32, _ properties: ScalarProperties) {
            guard properties.has(form.decomposes) else {
                units.append(Unit(scalar: scalar, combiningClass: properties.combiningClass, change: 0))
                return
            }
            changes = true
            if let parts = Hangul.parts(of: scalar) {
                units.append(Unit(scalar: parts.leading, combiningClass: 0, change: 0))
                units.append(Unit(scalar: parts.vowel, combiningClass: 0, change: 1))
                if let trailing = parts.trailing {
                    units.append(Unit(scalar: trailing, combiningClass: 0, change: 1))
                }
                return
            }
            for (position, part) in tables.decomposition(of: scalar, compatible: form.isCompatible).enumerated() {
                let combiningClass = tables.properties(of: part).combiningClass
                units.append(Unit(scalar: part, combiningClass: combiningClass, change: position == 0 ? 0 : 1))
            }
        }

        /// Writes the segment in its form.
        mutating func write(to rewriter: inout TextRewriter) {
            sortMarks()
            if form.composes { compose() }
            for unit in units {
                if unit.change > 0 {
                    rewriter.insert(unit.scalar)
                } else {
                    rewriter.replace(by: unit.scalar)
                    for _ in 0..<(-unit.change) { rewriter.skip() }
                }
            }
        }

        /// Brings each run of marks into the order of their classes, without changing that within a class (D109).
        private mutating func sortMarks() {
            var start = 0
            while start < units.count {
                guard units[start].combiningClass != 0 else {
                    start += 1
                    continue
                }
                var end = start + 1
                var isSorted = true
                while end < units.count, units[end].combiningClass != 0 {
                    if units[end].combiningClass < units[end - 1].combiningClass { isSorted = false }
                    end += 1
                }
                if !isSorted {
                    let sorted = units[start..<end].enumerated().sorted {
                        ($0.element.combiningClass, $0.offset) < ($1.element.combiningClass, $1.offset)
                    }
                    units.replaceSubrange(start..<end, with: sorted.map(\.element))
                }
                start = end
            }
        }

        /// Composes each scalar with the last starter unless something between them is in the way (D117).
        private mutating func compose() {
            var written = 0
            var starter: Int?
            var lastClass: UInt8?
            for unit in units {
                if let starter, lastClass.map({ $0 < unit.combiningClass }) ?? true,
                    let composed = tables.composition(of: units[starter].scalar, unit.scalar)
                {
                    units[starter].scalar = composed
                    units[starter].change += unit.change - 1
                    continue
                }
                if unit.combiningClass == 0 {
                    starter = written
                    lastClass = nil
                } else if starter != nil {
                    lastClass = unit.combiningClass
                }
                units[written] = unit
                written += 1
            }
            units.removeSubrange(written...)
        }
    }
}
