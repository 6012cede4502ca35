/// What became of a model's folder that has changed.
package enum FolderChange: Hashable, Sendable {
    /// There was no model before.
    case loaded
    /// Why there still is none.
    case notLoaded(String)
    case replaced(generation: UInt64)
    /// The former model stays for now, and the new one answers a share of the texts.
    case onTrial
    /// Why the former model stays.
    case refused(String)
}
