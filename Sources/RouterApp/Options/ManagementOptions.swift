import AdminAPI
package import ConfigKit

/// The flags that say who may use the management API, for every command that has one.
package struct ManagementOptions: Sendable, Hashable {
    package var tokensFile: String?
    package var authMode: AuthMode?
    package var acceptsRemoteExposure = false

    package init() {}

    /// Upstream's words.
    package enum AuthMode: String, CaseIterable, ConfigValue {
        case disabled
        case bearer
    }

    /// The flags, for the schema of options that hold a value of this type at `keyPath`.
    @SchemaBuilder<Root>
    package static func fields<Root: Configurable>(
        at keyPath: any WritableKeyPath<Root, ManagementOptions> & Sendable
    ) -> [AnyField<Root>] {
        Field<Root, String?>(
            "api-tokens-file",
            """
            A YAML file of hashed tokens with roles: the management API then asks for one. Without it the API listens on \
            this machine's own addresses only.
            """,
            get: { $0[keyPath: keyPath].tokensFile },
            set: { $0[keyPath: keyPath].tokensFile = $1 }
        )
        Field<Root, AuthMode?>(
            "management-auth-mode",
            "Whether the management API asks for tokens. Default: `bearer` with --api-tokens-file, else `disabled`.",
            get: { $0[keyPath: keyPath].authMode },
            set: { $0[keyPath: keyPath].authMode = $1 }
        )
        Field<Root, Bool>(
            "management-remote-exposure",
            """
            Together with `--management-auth-mode disabled`: the management API may listen on any address without asking \
            for tokens. Whoever reaches the port may then use it.
            """,
            get: { $0[keyPath: keyPath].acceptsRemoteExposure },
            set: { $0[keyPath: keyPath].acceptsRemoteExposure = $1 }
        )
    }

    /// What the options' own `validate` calls.
    package func validate(_ report: inout ValidationReport) {
        if authMode == .bearer, tokensFile == nil {
            report.error("needs the tokens: give --api-tokens-file", at: "management-auth-mode")
        }
        if authMode == .disabled, tokensFile != nil {
            report.error("contradicts --api-tokens-file, which asks for tokens", at: "management-auth-mode")
        }
    }

    /// Why the API may not listen on `host`, which `flag` names; nil where it may.
    func objection(to host: String, flag: String) -> String? {
        if tokensFile != nil || Loopback.isHost(host) { return nil }
        if acceptsRemoteExposure, authMode == .disabled { return nil }
        return """
            \(flag): other machines would reach the management API on \(host): give --api-tokens-file, or say that nobody \
            else reaches that network with --management-remote-exposure --management-auth-mode disabled
            """
    }
}
