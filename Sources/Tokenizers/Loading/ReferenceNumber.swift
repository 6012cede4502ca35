import NIOCore
import OpenAIWire

/// Numbers with a fraction as the reference reads them.
///
/// Its reader takes the digits for a whole number of 64 bits, rounds that, and divides by a power of ten, which rounds
/// again. The last bit may differ from the correctly rounded number, and decides where two ways to take a text apart are
/// equally good.
enum ReferenceNumber {
    /// 10^308 is the largest power of ten that a Double holds.
    private static let largestPower = 308
    private static let powers: [Double] = (0...largestPower).map { Double("1e\($0)") ?? .infinity }

    /// The value of a number; nil when it is none or too large.
    static func read(_ value: JSONValue) -> Double? {
        guard value.kind == .number else { return nil }
        var digits: UInt64 = 0
        var exponent = 0
        var written = 0
        var hasFraction = false
        var isFull = false
        var isNegative = false
        var writtenIsNegative = false
        var inExponent = false
        for byte in value.rawBytes.readableBytesView {
            switch byte {
            case UInt8(ascii: "-"):
                if inExponent { writtenIsNegative = true } else { isNegative = true }
            case UInt8(ascii: "+"):
                break
            case UInt8(ascii: "."):
                hasFraction = true
            case UInt8(ascii: "e"), UInt8(ascii: "E"):
                inExponent = true
            default:
                let digit = UInt64(byte &- UInt8(ascii: "0"))
                if inExponent {
                    written = min(written * 10 + Int(digit), 1 << 20)
                    continue
                }
                let (product, overflows) = digits.multipliedReportingOverflow(by: 10)
                let (sum, carries) = product.addingReportingOverflow(digit)
                // Digits that 64 bits do not hold are passed over.
                if isFull || overflows || carries {
                    isFull = true
                    if !hasFraction { exponent += 1 }
                } else {
                    digits = sum
                    if hasFraction { exponent -= 1 }
                }
            }
        }
        exponent += writtenIsNegative ? -written : written
        var number = Double(digits)
        while exponent < -largestPower, number != 0 {
            number /= powers[largestPower]
            exponent += largestPower
        }
        guard exponent <= largestPower else { return number == 0 ? 0 : nil }
        if number != 0 { number = exponent >= 0 ? number * powers[exponent] : number / powers[-exponent] }
        guard number.isFinite else { return nil }
        return isNegative ? -number : number
    }
}
