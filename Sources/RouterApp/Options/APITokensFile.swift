package import AdminAPI
package import ConfigKit
import Credentials

/// The file that `--api-tokens-file` names: who may use the management API, by the hashes of their tokens.
package struct APITokensFile: Configurable {
    package var tokens: [Entry] = []

    package init() {}

    package static let schema = Schema<Self>(
        "api tokens",
        "Who may use the management API, by the hashes of their tokens."
    ) {
        Field("api_tokens", \.tokens, "One entry per token.").required().count(1...)
    }

    package struct Entry: Configurable {
        package var name = ""
        package var sha256 = ""
        package var role = Role.viewer

        package init() {}

        package static let schema = Schema<Self>("api token", "A token's hash and what it allows.") {
            Field("name", \.name, "For people.", example: "prometheus").required().notEmpty()
            Field("sha256", \.sha256, "`printf %s TOKEN | sha256sum`: 64 hexadecimal digits.").keyHash()
            Field("role", \.role, "What it allows: docs/management.md has the table.").required()
        }
    }

    package func validate(_ report: inout ValidationReport) {
        for (index, entry) in tokens.enumerated() {
            let same = tokens[..<index].first { $0.sha256.lowercased() == entry.sha256.lowercased() }
            guard let same, !entry.sha256.isEmpty else { continue }
            report.error("is the token of \"\(same.name)\" too", at: "api_tokens", .index(index), "sha256")
        }
    }

    /// The tokens as the management API takes them. The schema has checked every hash.
    var store: CredentialStore<Role> {
        CredentialStore(tokens.compactMap { Credential(name: $0.name, sha256: $0.sha256, owner: $0.role) })
    }
}

extension Role: ConfigValue {}
