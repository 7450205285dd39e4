import Testing
import VLMCommandLine

/// Sizes in options.
@Suite("Sizes")
struct ByteSizeTests {
  private func parsed(_ text: String, bare: Int = 1) -> Int? {
    try? ByteSize.parse(text, option: "--memory", bare: bare)
  }

  @Test("units are powers of 1000 with a B alone, of 1024 with an i or nothing, in either case")
  func units() {
    let gibi = 1 << 30
    for text in ["1G", "1g", "1GiB", "1gib", "1 GiB", "1Gi", "1024M", "1048576k", "1024 mib"] {
      #expect(parsed(text) == gibi, "\(text)")
    }
    for text in ["1GB", "1gb", "1000MB", "1000000kB", "1000000KB", "1000000000", "1000000000B"] {
      #expect(parsed(text) == 1_000_000_000, "\(text)")
    }
    #expect(parsed("1.5T") == 3 << 39)
    #expect(parsed("3.5TB") == 3_500_000_000_000)
    #expect(parsed("700MiB") == 700 << 20)
    #expect(parsed("16b") == 16)
  }

  @Test("a number alone is what the option says")
  func bare() {
    #expect(parsed("32", bare: 1 << 20) == 32 << 20)
    #expect(parsed("32kB", bare: 1 << 20) == 32_000)
  }

  private func message(_ text: String) -> String {
    do { return "\(try ByteSize.parse(text, option: "--size"))" } catch { return "\(error)" }
  }

  @Test("what is wrong with a size is told")
  func messages() {
    #expect(message("99999999TB").contains("found '99999999TB', expected less than 1000000TB"))
    for text in ["0", "0MB", "-5", "-5GB", "0.1"] {
      #expect(message(text).contains("found '\(text)', expected 1 byte or more"), "\(text)")
    }
    #expect(message("4,5GB").contains("such as 3.5GB, 90MB, 700MiB or 1G; with a point: 4.5GB"))
    for text in ["", "G", "1,2,3GB", "many", "--5"] {
      #expect(message(text).contains("expected a number and a unit"), "\(text)")
      #expect(!message(text).contains("with a point"), "\(text)")
    }
  }

  @Test("what is no size is refused")
  func refusals() {
    for text in ["", "G", "1X", "1XB", "1GiBs", "-1G", "0", "0.1", "1,5G", "1e400", "9999999T"] {
      #expect(parsed(text) == nil, "\(text)")
    }
  }
}
