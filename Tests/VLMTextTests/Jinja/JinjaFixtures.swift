import Foundation
import VLMFoundation
import VLMTestSupport

@testable import VLMText

/// `Tests/Fixtures/templates`, written by `scripts/make-template-goldens` with the results of
/// jinja2.
enum JinjaFixtures {
  private static let folder = TestFiles.fixture("templates") + "/"

  static func json(_ name: String) throws -> JSONValue {
    try JSONValue.parse([UInt8](Data(contentsOf: URL(fileURLWithPath: folder + name))))
  }

  static func source(_ name: String) throws -> String {
    let url = URL(fileURLWithPath: folder + name + ".jinja")
    return String(decoding: try Data(contentsOf: url), as: UTF8.self)
  }

  /// The moment of the goldens.
  static let now = JinjaTime(year: 2026, month: 3, day: 7, hour: 9, minute: 5, second: 3)

  static func render(
    _ source: String, _ context: JSONValue = [:], limits: JinjaLimits = JinjaLimits()
  ) throws(JinjaError) -> JinjaText {
    let variables = (context.objectValue?.members ?? []).map {
      (name: $0.key, value: JinjaValue($0.value))
    }
    return try JinjaTemplate(source, limits: limits).render(variables, now: now)
  }

  /// The error of a template that must fail.
  static func error(
    _ source: String, _ context: JSONValue = [:], limits: JinjaLimits = JinjaLimits()
  ) -> JinjaError? {
    do throws(JinjaError) {
      _ = try render(source, context, limits: limits)
      return nil
    } catch {
      return error
    }
  }

  /// `output:…`, or the kind of the error with the text of jinja2 where that is meant to be the same.
  static func outcome(_ source: String, _ context: JSONValue) -> String {
    do throws(JinjaError) {
      return "output:" + (try render(source, context)).string
    } catch {
      switch error.problem {
      case .undefined(let text): return "undefined:" + text
      case .raised(let text): return "raised:" + text
      case .syntax, .unexpected, .value, .unsupported, .noThread, .limit(.depth, _, _):
        return "other"
      case .limit(let limit, _, _): return "limit:" + limit.rawValue
      }
    }
  }

  /// The same of jinja2, as a golden has it.
  static func expected(_ golden: JSONValue) -> String {
    if let output = golden["output"]?.stringValue { return "output:" + output }
    let error = golden["error"]?.stringValue ?? ""
    guard error == "undefined" || error == "raised" else { return error }
    return error + ":" + (golden["message"]?.stringValue ?? "")
  }
}
