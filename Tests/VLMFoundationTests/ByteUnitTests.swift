import Testing
import VLMFoundation

/// The unit that a size was given in.
@Suite("Units of sizes")
struct ByteUnitTests {
  static let limits: [(limit: Int, least: Int, found: String, expected: String)] = [
    (1000, 1_234_568, "1 kB", "1234.568 kB"),
    (300_000, 1_000_000, "300 kB", "1000 kB"),
    (307_200, 409_600, "300 KiB", "400 KiB"),
    (12_345, 12_346, "12345 bytes", "12346 bytes"),
    (734_003_200, 838_860_800, "700 MiB", "800 MiB"),
    (3_500_000_000, 3_600_000_001, "3.5 GB", "3.601 GB"),
    (1_073_741_824, 1_073_741_825, "1 GiB", "1.001 GiB"),
    (107_374_182, 268_435_456, "102.4 MiB", "256 MiB"),
    (1_234_567, 2_345_678, "1234567 bytes", "2345678 bytes"),
    (7, 8, "7 bytes", "8 bytes"), (1, 2, "1 byte", "2 bytes"),
  ]

  @Test("a limit is told in its own unit, and what is needed in the same", arguments: limits)
  func units(limit: Int, least: Int, found: String, expected: String) {
    let unit = ByteUnit(of: limit)
    #expect(unit.text(limit) == found)
    #expect(unit.text(atLeast: least) == expected)
  }

  @Test("units are known by their names, as sizes are written with them")
  func names() {
    let named = ["kB": "105.664 kB", "KIB": "103.188 KiB", "k": "103.188 KiB", "Mi": "0.101 MiB"]
    for (name, text) in named { #expect(ByteUnit(named: name)?.text(atLeast: 105_664) == text) }
    for name in ["", "B", "b"] { #expect(ByteUnit(named: name)?.text(105_664) == "105664 bytes") }
    for name in ["x", "kBs", "ib", "kk", "GG"] { #expect(ByteUnit(named: name) == nil, "\(name)") }
  }

  @Test("what is told is never less than what is needed")
  func enough() {
    let units: [(Int, Double)] = [(1000, 1000), (1 << 20, 1_048_576), (1_000_000_000, 1e9)]
    for (limit, factor) in units {
      for least in stride(from: 1_000_001, to: 3_000_000_000, by: 37_777_777) {
        let number = ByteUnit(of: limit).text(atLeast: least).prefix { $0 != " " }
        #expect(Int((Double(number) ?? 0) * factor) >= least)
      }
    }
  }
}
