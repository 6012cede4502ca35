/// Who asks: made once, when a request comes in, and never taken from what a client merely claims.
package struct Identity: Sendable, Hashable {
    package var tenant: String?
    package var user: String?
    package var groups: [String]

    package init(tenant: String? = nil, user: String? = nil, groups: [String] = []) {
        self.tenant = tenant
        self.user = user
        self.groups = groups
    }

    /// Nobody that we know.
    package static let anonymous = Identity()
}
