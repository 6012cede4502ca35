package import OpenAIWire

/// The models that a process runs for itself, as the management API sees them.
package protocol ManagedModels: Sendable {
    /// All of them, in the order in which they are preferred where a request leaves the choice. Must be quick.
    var all: [LoadedModel] { get }

    /// One vector for each text, all of one model.
    ///
    /// - Parameters:
    ///   - texts: one at least; none is blank.
    ///   - model: the name of a model that has an `EmbeddingOffer`.
    ///   - dimension: one of those that the model offers.
    /// - Throws: an error whose origin is the client (a text that the model cannot take) and its message reach the client;
    ///   so does that the models are `.overloaded`. Of any other the client learns only that it happened: log it here.
    func embed(_ texts: [String], model: String, dimension: Int) async throws(RouterError) -> [[Float]]
}

/// A model that runs in this process.
package struct LoadedModel: Sendable, Hashable {
    package let name: String
    /// `language_detection`, `embedding`.
    package let type: String
    package let isLoaded: Bool
    package let metadata: [String: String]
    /// Where its files are; nil for one that is built in.
    package var path: String?
    /// What it tells apart; empty for a model that does not classify.
    package var categories: [String] = []
    /// How long it took to load; nil where nobody measured.
    package var loadTime: Duration?
    /// Memory that it takes; nil where nobody knows.
    package var memoryBytes: Int?
    /// Nil for a model that makes no vectors, or is not loaded.
    package var embedding: EmbeddingOffer?

    package init(name: String, type: String, isLoaded: Bool, metadata: [String: String] = [:]) {
        self.name = name
        self.type = type
        self.isLoaded = isLoaded
        self.metadata = metadata
    }
}

/// The vectors that a model can make.
package struct EmbeddingOffer: Sendable, Hashable {
    /// What a vector costs, and so how much it may tell: 1 where it is looked up, 2 where a network computes it.
    package let tier: Int
    /// How many numbers a vector has unless the request says.
    package let defaultDimension: Int
    /// Every length that may be asked for, ascending, the default among them.
    package let dimensions: [Int]
    /// Tokens of a text that the model reads.
    package let maxTokens: Int

    /// - Parameter dimensions: lengths besides the default, in any order.
    package init(tier: Int, defaultDimension: Int, dimensions: [Int] = [], maxTokens: Int) {
        self.tier = tier
        self.defaultDimension = defaultDimension
        self.dimensions = Set(dimensions + [defaultDimension]).sorted()
        self.maxTokens = maxTokens
    }
}
