/// Numbers without a system call, from a seed: Steele, Lea and Flood, "Fast splittable pseudorandom number generators"
/// (OOPSLA 2014). For one seed, different steps give different numbers.
package enum SplitMix64 {
    package static func mixed(_ seed: UInt64, step: UInt64) -> UInt64 {
        var mixed = seed &+ step &* 0x9E37_79B9_7F4A_7C15
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
