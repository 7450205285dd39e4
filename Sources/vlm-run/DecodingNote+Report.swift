import VLMCommandLine
import VLMImages

extension Report {
  /// Says on standard error what a picture lacks that was read all the same.
  static func reporter(of name: String) -> (DecodingNote) -> Void {
    { warning("\(name.escapedForDisplay()): \($0.description)", program: "vlm-run") }
  }
}
