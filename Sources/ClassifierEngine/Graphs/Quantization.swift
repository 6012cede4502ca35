/// How weights become integers of 8 bits.
package struct Quantization: Hashable, Sendable {
    /// The largest magnitude of a weight. Processors without VNNI add pairs of products of 8 bits in 16: with 7 bits of
    /// weight they cannot overflow (`reduce_range` in ONNX Runtime's quantization guide).
    let largest: Float

    /// 7 bits: right on every processor.
    package static let reducedRange = Quantization(largest: 63)
    /// 8 bits: for processors with VNNI.
    package static let fullRange = Quantization(largest: 127)
}

/// A matrix of 8-bit integers with one scale for each row: w ≈ scale · q, |w − scale · q| ≤ scale / 2.
struct QuantizedMatrix {
    /// Row-major.
    let values: [Int8]
    let scales: [Float]

    init(_ weights: [Float], rows: Int, columns: Int, _ quantization: Quantization) {
        var scales = [Float](repeating: 1, count: rows)
        values = [Int8](unsafeUninitializedCapacity: rows * columns) { values, filled in
            weights.withUnsafeBufferPointer { weights in
                for row in 0..<rows {
                    let range = row * columns..<(row + 1) * columns
                    var largest: Float = 0
                    for index in range { largest = max(largest, weights[index].magnitude) }
                    // A row of zeros keeps the scale 1.
                    if largest > 0 { scales[row] = largest / quantization.largest }
                    let factor = 1 / scales[row]
                    for index in range {
                        let scaled = (weights[index] * factor).rounded(.toNearestOrEven)
                        values[index] = Int8(max(-quantization.largest, min(quantization.largest, scaled)))
                    }
                }
            }
            filled = rows * columns
        }
        self.scales = scales
    }
}

/// [rows, columns] → [columns, rows], in blocks that stay within the processor's caches.
func transposed<Element: Numeric>(_ matrix: [Element], _ rows: Int, _ columns: Int) -> [Element] {
    precondition(matrix.count == rows * columns, "a matrix of \(rows) x \(columns)")
    let block = 32
    return [Element](unsafeUninitializedCapacity: matrix.count) { target, filled in
        matrix.withUnsafeBufferPointer { matrix in
            for top in stride(from: 0, to: rows, by: block) {
                for left in stride(from: 0, to: columns, by: block) {
                    for row in top..<min(top + block, rows) {
                        for column in left..<min(left + block, columns) {
                            target[column * rows + row] = matrix[row * columns + column]
                        }
                    }
                }
            }
        }
        filled = matrix.count
    }
}
