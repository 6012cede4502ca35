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

    /// What a hop that we trust says of the sender in its `x-authz-*` headers; nil when it says nothing.
    ///
    /// - Parameter values: all values of a header, by its lower-case name.
    /// - Throws: `invalidAPIKey` (401) when several users or tenants are named: a client's claim has then been passed on.
    package static func claimed(by values: (String) -> [String]) throws(RouterError) -> Identity? {
        let user = try only(RoutingHeaders.authorizedUser, values)
        let tenant = try only(RoutingHeaders.authorizedTenant, values)
        let groups = values(RoutingHeaders.authorizedGroups).flatMap { value in
            value.split(separator: ",").map { $0.trimmingSpaces }.filter { !$0.isEmpty }
        }
        guard user != nil || tenant != nil || !groups.isEmpty else { return nil }
        return Identity(tenant: tenant, user: user, groups: groups)
    }

    /// The value of a field that may stand once; an empty one is as good as none.
    private static func only(_ name: String, _ values: (String) -> [String]) throws(RouterError) -> String? {
        let values = values(name)
        guard values.count <= 1 else {
            throw RouterError(.invalidAPIKey, origin: .client, "The header \(name) stands more than once.")
        }
        return values.first.flatMap { $0.isEmpty ? nil : $0 }
    }
}

extension Substring {
    /// Without the optional white space around a list's member (RFC 9110 section 5.6.1).
    fileprivate var trimmingSpaces: String {
        let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        return String(String(drop(while: isSpace)).reversed().drop(while: isSpace).reversed())
    }
}
