/// A program as a deterministic machine: the lists of threads that a simulation can come to are its states, and one
/// look-up in a table takes it from one to the next.
///
/// A match is seen when the byte behind it is taken, or the end of the text, since `$` and `\b` need to know it.
struct PatternAutomaton: Sendable {
    /// The class of each byte. Bytes of one class are alike to all instructions.
    let classes: ContiguousArray<UInt8>
    /// A row per state, with the state that each class leads to, and in its last column the one at the text's end.
    /// States are named by the start of their row.
    ///
    /// The order of the states makes one comparison tell the common ones: 0 from which nothing can match, then
    /// `matchedEnd`, the other states that say that a match ended before the byte taken last, `idle`, and the rest.
    let transitions: ContiguousArray<UInt32>
    let rowLength: Int
    /// Where a search begins, by what stands before it: the raw value of a `Surrounding`.
    let starts: [UInt32]
    /// A match, and behind it nothing that would be preferred to it.
    let matchedEnd: UInt32
    /// The state of a search that begins behind a byte no assertion looks at. Searches come back to it when their
    /// threads end, or are where new ones begin.
    let idle: UInt32
    /// The bytes that lead out of `idle`.
    let idleStops: ByteStops

    var stateCount: Int { transitions.count / rowLength }

    /// Whether the pattern matches at `start` or behind it. If it does, `idleRun` are the bytes of the last run through
    /// `idle`, which the match may begin in; empty if there was none.
    func search(
        in text: UnsafeRawBufferPointer,
        from start: Int,
        idleRun: inout Range<Int>,
        steps: inout Int
    ) -> Bool {
        var state = starts[Int(Surrounding(before: start, in: text).rawValue)]
        var index = start
        defer { steps += index - start + 1 }
        return withTables { classes, transitions in
            while index < text.count {
                if state == idle {
                    let stop = idleStops.next(in: text, from: index)
                    if stop > index { idleRun = index..<stop }
                    index = stop
                    guard index < text.count else { break }
                }
                repeat {
                    state = transitions[Int(state) + Int(classes[Int(text[index])])]
                    index += 1
                } while state > idle && index < text.count
                if state < idle { return state != 0 }
            }
            return isMatched(transitions[Int(state) + rowLength - 1])
        }
    }

    /// Where the preferred match of a search from `start` on ends. The search may have read further, to `readEnd`.
    func matchEnd(in text: UnsafeRawBufferPointer, from start: Int, readEnd: inout Int) -> Int? {
        var state = starts[Int(Surrounding(before: start, in: text).rawValue)]
        var index = start
        var end: Int?
        defer { readEnd = index }
        return withTables { classes, transitions in
            while index < text.count {
                if state == idle {
                    index = idleStops.next(in: text, from: index)
                    guard index < text.count else { break }
                }
                repeat {
                    state = transitions[Int(state) + Int(classes[Int(text[index])])]
                    index += 1
                } while state > idle && index < text.count
                guard state < idle else { continue }
                guard state != 0 else { return end }
                end = index - 1
                if state == matchedEnd { return end }
            }
            return isMatched(transitions[Int(state) + rowLength - 1]) ? text.count : end
        }
    }

    private func isMatched(_ state: UInt32) -> Bool { state != 0 && state < idle }

    @inline(__always)
    private func withTables<Result>(
        _ body: (UnsafeBufferPointer<UInt8>, UnsafeBufferPointer<UInt32>) -> Result
    ) -> Result {
        classes.withUnsafeBufferPointer { classes in
            transitions.withUnsafeBufferPointer { transitions in body(classes, transitions) }
        }
    }
}
