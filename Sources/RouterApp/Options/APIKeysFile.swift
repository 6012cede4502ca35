package import ConfigKit
import Credentials
package import Gateway
import OpenAIWire

/// The file that `--api-keys-file` names: who may ask, by the hashes of their keys.
package struct APIKeysFile: Configurable {
    package var keys: [Entry] = []

    package init() {}

    package static let schema = Schema<Self>("api keys", "Who may ask, by the hashes of their API keys.") {
        Field("api_keys", \.keys, "One entry per key.").required().count(1...)
    }

    package struct Entry: Configurable {
        package var name = ""
        package var sha256 = ""
        package var tenant: String?
        package var user: String?
        package var groups: [String] = []

        package init() {}

        package static let schema = Schema<Self>("api key", "A key's hash and whose it is.") {
            Field("name", \.name, "For people.", example: "team-a").required().notEmpty()
            Field("sha256", \.sha256, "`printf %s KEY | sha256sum`: 64 hexadecimal digits.").keyHash()
            Field("tenant", \.tenant, "Whose customer the key belongs to.")
            Field("user", \.user, "Whose requests these are.")
            Field("groups", \.groups, "What rules may ask for.", example: "[admin]")
        }
    }

    /// The keys as the authenticator takes them. The schema has checked every hash.
    package var storedKeys: [Authenticator.StoredKey] {
        keys.compactMap { entry in
            Authenticator.StoredKey(
                name: entry.name,
                sha256: entry.sha256,
                owner: Identity(tenant: entry.tenant, user: entry.user, groups: entry.groups)
            )
        }
    }
}
