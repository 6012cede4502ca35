/// A text-carrying request with what its front end knows of it: what the semantic core decides by.
package struct InboundRequest: Sendable {
    package let text: TextRequest
    package let identity: Identity
    /// Whether the client asked to be told how it was routed (`x-vsr-debug: true`).
    package let wantsDebugHeaders: Bool

    package init(_ text: TextRequest, identity: Identity = .anonymous, wantsDebugHeaders: Bool = false) {
        self.text = text
        self.identity = identity
        self.wantsDebugHeaders = wantsDebugHeaders
    }
}
