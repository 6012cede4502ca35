/// Model names that mean something to routers.
package enum ModelName {
    /// Asks for a choice, besides the names of a policy: the inference router answers it with its default model.
    package static let automatic = "auto"
}
