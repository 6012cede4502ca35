#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// A moment in UTC, written as RFC 3339 with milliseconds: `2026-01-02T03:04:05.678Z`.
package struct UTCTime: Hashable, Sendable, CustomStringConvertible {
    /// Since 1970-01-01T00:00:00Z, leap seconds not counted.
    package let nanoseconds: Int64

    package init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    /// Reads the wall clock.
    package static func now() -> UTCTime {
        var time = timespec()
        // CLOCK_REALTIME with a valid pointer cannot fail (clock_gettime(2)).
        clock_gettime(CLOCK_REALTIME, &time)
        return UTCTime(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    package var description: String {
        var bytes: [UInt8] = []
        write(into: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends the 24 bytes of the text.
    ///
    /// The date is computed by Howard Hinnant's `civil_from_days`
    /// (https://howardhinnant.github.io/date_algorithms.html#civil_from_days): integer arithmetic, no library.
    package func write(into bytes: inout [UInt8]) {
        let milliseconds = Self.floorDivide(nanoseconds, 1_000_000)
        let seconds = Self.floorDivide(milliseconds, 1_000)
        let days = Self.floorDivide(seconds, 86_400)
        let secondOfDay = seconds - days * 86_400

        let shifted = days + 719_468
        let era = Self.floorDivide(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)

        func write(_ value: Int64, digits: Int) {
            var divisor: Int64 = 1
            for _ in 1..<digits { divisor *= 10 }
            while divisor > 0 {
                bytes.append(UInt8(ascii: "0") + UInt8(value / divisor % 10))
                divisor /= 10
            }
        }
        write(year, digits: 4)
        bytes.append(UInt8(ascii: "-"))
        write(month, digits: 2)
        bytes.append(UInt8(ascii: "-"))
        write(day, digits: 2)
        bytes.append(UInt8(ascii: "T"))
        write(secondOfDay / 3_600, digits: 2)
        bytes.append(UInt8(ascii: ":"))
        write(secondOfDay / 60 % 60, digits: 2)
        bytes.append(UInt8(ascii: ":"))
        write(secondOfDay % 60, digits: 2)
        bytes.append(UInt8(ascii: "."))
        write(milliseconds - seconds * 1_000, digits: 3)
        bytes.append(UInt8(ascii: "Z"))
    }

    private static func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
        let quotient = value / divisor
        return value % divisor < 0 ? quotient - 1 : quotient
    }
}
