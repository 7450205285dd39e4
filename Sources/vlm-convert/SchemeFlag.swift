import ArgumentParser
import VLMTensor

/// The flags that say how matrices are stored, one for each scheme: `--q4`, `--q8` …
struct SchemeFlag: EnumerableFlag {
  let scheme: Scheme

  /// Those of the fewest bits first.
  static var allCases: [SchemeFlag] {
    Scheme.allCases.sorted { ($0.codeBits, $0.code) < ($1.codeBits, $1.code) }
      .map { SchemeFlag(scheme: $0) }
  }

  static func name(for flag: SchemeFlag) -> NameSpecification { .customLong(flag.scheme.name) }

  /// A line for each scheme: flag, bits of a weight, what it is.
  static var table: String {
    func pad(_ text: String) -> String {
      text + String(repeating: " ", count: max(1, 6 - text.count))
    }
    let lines = allCases.map { flag in
      let bits = flag.scheme.bitsPerWeight
      let text = bits == bits.rounded() ? "\(Int(bits))" : "\(bits)"
      return "  --\(pad(flag.scheme.name))\(pad(text))\(flag.scheme.summary)"
    }
    return lines.joined(separator: "\n")
  }
}
