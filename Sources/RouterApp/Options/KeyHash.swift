import ConfigKit

extension Field where Value == String {
    /// The value is a SHA-256 as `sha256sum` prints it.
    func keyHash() -> Self {
        required().check("must be 64 hexadecimal digits") { text in
            text.utf8.count == 64 && text.allSatisfy { $0.isASCII && $0.isHexDigit }
        }
    }
}
