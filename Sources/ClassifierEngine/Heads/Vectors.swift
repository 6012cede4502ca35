#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Arithmetic on vectors of Float32, eight numbers at a time.
enum Vectors {
    private typealias Lane = SIMD8<Float>

    /// Σ aᵢ · bᵢ. Both must be of one length.
    static func dot(_ a: UnsafeBufferPointer<Float>, _ b: UnsafeBufferPointer<Float>) -> Float {
        precondition(a.count == b.count, "vectors of one length")
        let a = UnsafeRawBufferPointer(a)
        let b = UnsafeRawBufferPointer(b)
        let width = MemoryLayout<Lane>.size
        // Two sums, so that one addition need not wait for the other.
        var even = Lane.zero
        var odd = Lane.zero
        var offset = 0
        while offset + 2 * width <= a.count {
            even +=
                a.loadUnaligned(fromByteOffset: offset, as: Lane.self)
                * b.loadUnaligned(fromByteOffset: offset, as: Lane.self)
            odd +=
                a.loadUnaligned(fromByteOffset: offset + width, as: Lane.self)
                * b.loadUnaligned(fromByteOffset: offset + width, as: Lane.self)
            offset += 2 * width
        }
        var sum = (even + odd).sum()
        while offset < a.count {
            sum += a.load(fromByteOffset: offset, as: Float.self) * b.load(fromByteOffset: offset, as: Float.self)
            offset += MemoryLayout<Float>.size
        }
        return sum
    }

    /// target += factor · source.
    static func add(
        _ source: UnsafeBufferPointer<Float>,
        times factor: Float,
        to target: UnsafeMutableBufferPointer<Float>
    ) {
        precondition(source.count == target.count, "vectors of one length")
        let raw = UnsafeRawBufferPointer(source)
        let out = UnsafeMutableRawBufferPointer(target)
        let width = MemoryLayout<Lane>.size
        var offset = 0
        while offset + width <= raw.count {
            let sum =
                out.loadUnaligned(fromByteOffset: offset, as: Lane.self)
                + factor * raw.loadUnaligned(fromByteOffset: offset, as: Lane.self)
            out.storeBytes(of: sum, toByteOffset: offset, as: Lane.self)
            offset += width
        }
        for index in offset / MemoryLayout<Float>.size..<source.count { target[index] += factor * source[index] }
    }

    /// Whether no number is infinite or NaN.
    static func areFinite(_ values: some Sequence<Float>) -> Bool {
        // The largest magnitude as bits: without a branch for each number, many are looked at together.
        var largest: UInt32 = 0
        for value in values { largest = max(largest, value.magnitude.bitPattern) }
        return largest < Float.infinity.bitPattern
    }

    /// Divides by the Euclidean length; a vector of zeros stays.
    static func normalize(_ vector: inout [Float]) {
        let length = vector.withUnsafeBufferPointer { dot($0, $0) }.squareRoot()
        guard length > 0 else { return }
        let factor = 1 / length
        for index in vector.indices { vector[index] *= factor }
    }

    /// e^xᵢ / Σ e^xⱼ, without overflow.
    static func softmax(_ logits: some Collection<Float>) -> [Float] {
        let largest = logits.max() ?? 0
        var values = logits.map { exp($0 - largest) }
        let sum = values.reduce(0, +)
        for index in values.indices { values[index] /= sum }
        return values
    }

    /// 1 / (1 + e^-xᵢ).
    static func sigmoid(_ logits: some Collection<Float>) -> [Float] { logits.map { 1 / (1 + exp(-$0)) } }
}
