import CLanguageModel

/// The model's last step for one script: scores its languages from the sum of a text's features.
struct ScriptClassifier: Sendable {
    /// Numbers in a row of the model.
    private static let dimensions = 32

    /// The code of every class. Two classes may share one: both Norwegians are `no`.
    let codes: [String]
    /// For each class, the first class with its code.
    private let reported: [Int]
    /// The first class's number in the model.
    private let first: Int

    private init(codes: [String], first: Int) {
        self.codes = codes
        self.first = first
        reported = codes.map { code in codes.firstIndex(of: code) ?? 0 }
    }

    /// One per modelled script, in their order.
    static func all() -> [ScriptClassifier] {
        let lists = [
            language_model_latin(), language_model_cyrillic(), language_model_arabic(), language_model_devanagari(),
        ]
        var first = 0
        return lists.map { list in
            let codes = String(cString: list).split(separator: " ").map(String.init)
            defer { first += codes.count }
            return ScriptClassifier(codes: codes, first: first)
        }
    }

    /// The likeliest language of a text with these features.
    ///
    /// A class's score is sum · weights / sqrt(features) + bias; the confidence is the softmax, classes of one code
    /// added.
    /// - Complexity: O(classes).
    func language(_ sum: FeatureSum) -> DetectedLanguage? {
        guard sum.features > 0 else { return nil }
        // Every number is stored with 8 for zero.
        let offset = Float(8 * sum.features)
        let scale = 1 / Float(sum.features).squareRoot()
        let low = (SIMD16<Float>(sum.low) - offset) * scale
        let high = (SIMD16<Float>(sum.high) - offset) * scale
        let weights = UnsafeRawPointer(language_model_weights())
        let biases = UnsafeRawPointer(language_model_biases())
        return withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * codes.count) { buffer in
            let scores = UnsafeMutableBufferPointer(rebasing: buffer[..<codes.count])
            let shares = UnsafeMutableBufferPointer(rebasing: buffer[codes.count...])
            var best = -Float.infinity
            for index in 0..<codes.count {
                let number = first + index
                let at = number * ScriptClassifier.dimensions * MemoryLayout<Float>.stride
                let lowWeights = weights.loadUnaligned(fromByteOffset: at, as: SIMD16<Float>.self)
                let highWeights = weights.loadUnaligned(fromByteOffset: at + 64, as: SIMD16<Float>.self)
                let bias = biases.load(fromByteOffset: number * MemoryLayout<Float>.stride, as: Float.self)
                scores[index] = (low * lowWeights + high * highWeights).sum() + bias
                shares[index] = 0
                best = max(best, scores[index])
            }
            var total: Float = 0
            for index in 0..<codes.count {
                let share = exponential(scores[index] - best)
                shares[reported[index]] += share
                total += share
            }
            var winner = 0
            for index in 1..<codes.count where shares[index] > shares[winner] { winner = index }
            return DetectedLanguage(code: codes[winner], confidence: Double(shares[winner] / total))
        }
    }
}

/// e to the power of `x`, for `x` ≤ 0, within 1 in 10⁵: the same on every platform and without a mathematics library.
///
/// 2^(whole + part) with the Taylor series of 2^part, part in -½…½, to the sixth power.
private func exponential(_ x: Float) -> Float {
    let power = max(x, -80) * 1.442_695
    // Rounds to nearest: the power is not positive, and the conversion cuts towards zero.
    let whole = Int32(power - 0.5)
    let t = (power - Float(whole)) * 0.693_147_2
    let series = 1 + t * (1 + t / 2 * (1 + t / 3 * (1 + t / 4 * (1 + t / 5 * (1 + t / 6)))))
    return series * Float(bitPattern: UInt32(whole + 127) << 23)
}
