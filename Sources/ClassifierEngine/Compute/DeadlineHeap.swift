/// Ends of calls, the earliest first.
///
/// A call that ended early is not looked for: its entry is dropped when it comes up, or when half of the heap is such
/// entries.
struct DeadlineHeap: Sendable {
    struct Entry: Sendable {
        let deadline: UInt64
        let call: CallID
    }

    private var entries: [Entry] = []

    var first: Entry? { entries.first }
    var count: Int { entries.count }

    mutating func insert(_ entry: Entry) {
        entries.append(entry)
        siftUp(from: entries.count - 1)
    }

    mutating func removeFirst() {
        guard let last = entries.popLast() else { return }
        guard !entries.isEmpty else { return }
        entries[0] = last
        siftDown(from: 0)
    }

    /// Drops what is no more, in linear time. Called when at least half of the heap is gone, so that it costs a constant
    /// for each call.
    mutating func keep(where isLive: (CallID) -> Bool) {
        entries.removeAll { !isLive($0.call) }
        for index in stride(from: entries.count / 2 - 1, through: 0, by: -1) { siftDown(from: index) }
    }

    private mutating func siftUp(from start: Int) {
        var index = start
        while index > 0 {
            let parent = (index - 1) / 2
            guard entries[index].deadline < entries[parent].deadline else { return }
            entries.swapAt(index, parent)
            index = parent
        }
    }

    private mutating func siftDown(from start: Int) {
        var index = start
        while true {
            var least = 2 * index + 1
            guard least < entries.count else { return }
            if least + 1 < entries.count, entries[least + 1].deadline < entries[least].deadline { least += 1 }
            guard entries[least].deadline < entries[index].deadline else { return }
            entries.swapAt(index, least)
            index = least
        }
    }
}
