import Synchronization

/// Machine words that many threads update without a lock, laid out so that threads on different cores rarely share a
/// cache line: `stripes` rows of `width` words, each row on cache lines of its own. A thread writes one row; a reader sums
/// the rows.
///
/// `@unchecked Sendable`: the pointer is set once and freed by the sole owner's `deinit`; everything behind it is an
/// atomic, whose methods are safe from any thread.
struct AtomicCells: ~Copyable, @unchecked Sendable {
    /// 64 bytes, the cache line of x86-64 and of the common Arm server cores, in words.
    private static let lineWords = 8

    private let cells: UnsafeMutablePointer<Atomic<UInt64>>
    private let stripes: Int
    private let rowWords: Int

    /// - Precondition: `stripes` is a power of two.
    init(width: Int, stripes: Int) {
        precondition(width > 0 && stripes > 0 && stripes & (stripes - 1) == 0)
        self.stripes = stripes
        rowWords = (width + Self.lineWords - 1) / Self.lineWords * Self.lineWords
        let bytes = UnsafeMutableRawPointer.allocate(
            byteCount: stripes * rowWords * MemoryLayout<Atomic<UInt64>>.stride,
            alignment: Self.lineWords * MemoryLayout<Atomic<UInt64>>.stride
        )
        cells = bytes.assumingMemoryBound(to: Atomic<UInt64>.self)
        for index in 0..<(stripes * rowWords) {
            (cells + index).initialize(to: Atomic(0))
        }
    }

    deinit {
        cells.deinitialize(count: stripes * rowWords)
        UnsafeMutableRawPointer(cells).deallocate()
    }

    /// Adds to word `index` of the calling thread's row.
    @inline(__always)
    func add(_ value: UInt64, at index: Int) {
        cells[row() + index].wrappingAdd(value, ordering: .relaxed)
    }

    /// Adds to word `index` of the calling thread's row, whose words hold the bits of doubles.
    @inline(__always)
    func add(_ value: Double, at index: Int) {
        let position = row() + index
        var old = cells[position].load(ordering: .relaxed)
        while true {
            let new = (Double(bitPattern: old) + value).bitPattern
            let (exchanged, original) = cells[position].weakCompareExchange(
                expected: old,
                desired: new,
                ordering: .relaxed
            )
            if exchanged { return }
            old = original
        }
    }

    /// The sum of word `index` over all rows.
    func sum(at index: Int) -> UInt64 {
        (0..<stripes).reduce(0) { $0 &+ cells[$1 * rowWords + index].load(ordering: .relaxed) }
    }

    /// The sum of word `index` over all rows, read as doubles.
    func doubleSum(at index: Int) -> Double {
        (0..<stripes).reduce(0) { $0 + Double(bitPattern: cells[$1 * rowWords + index].load(ordering: .relaxed)) }
    }

    /// The first word of the calling thread's row.
    @inline(__always)
    private func row() -> Int {
        (Int(truncatingIfNeeded: threadHash()) & (stripes - 1)) &* rowWords
    }
}
