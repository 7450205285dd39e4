import Foundation
import Testing
import VLMContainer

/// The files of `formats/golden`.
enum Golden {
  static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
  static let formats = root.appendingPathComponent("formats/golden")

  /// Paths of the files of "accept" or "reject" whose names begin with `prefix`, sorted.
  static func files(_ folder: String, prefix: String = "") -> [String] {
    let url = formats.appendingPathComponent(folder)
    let names = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
    return names.filter { $0.hasPrefix(prefix) && $0.hasSuffix(".vlmz") }.sorted()
      .map { url.appendingPathComponent($0).path }
  }

  static func bytes(_ path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: path)))
  }

  /// The stage at which a defect is found.
  enum Stage: Int { case open, section, verify, strict, never }

  /// The first defect of the file at `path` and when it is found.
  static func firstDefect(
    _ path: String, strict: Bool = true
  ) throws -> (stage: Stage, error: ContainerError?) {
    let container: Container
    do throws(ContainerError) {
      container = try Container.open(path: path)
    } catch {
      return (.open, error)
    }
    for kind in SectionKind.known where kind != .tensorData {
      do throws(ContainerError) { _ = try container.section(kind) } catch {
        return (.section, error)
      }
    }
    if let first = try container.verify(strict: false).first { return (.verify, first) }
    if strict, let first = try container.verify(strict: true).first { return (.strict, first) }
    return (.never, nil)
  }

  /// Every file made to break `rule` is refused for it, by `stage` at the latest, with a message
  /// that names file and rule.
  static func expectRefused(
    _ rule: Rule, by stage: Stage, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let files = files("reject", prefix: rule.rawValue)
    #expect(!files.isEmpty, sourceLocation: sourceLocation)
    for file in files {
      let found = try firstDefect(file)
      let text = found.error?.description ?? "accepted"
      #expect(found.error?.rule == rule, "\(text)", sourceLocation: sourceLocation)
      #expect(found.stage.rawValue <= stage.rawValue, "\(text)", sourceLocation: sourceLocation)
      #expect(found.error?.exitStatus == .badData, sourceLocation: sourceLocation)
      #expect(
        text.hasPrefix(file) && (text.hasSuffix("[\(rule.rawValue)]")), "\(text)",
        sourceLocation: sourceLocation)
    }
  }
}

/// The error thrown by `body`; records an issue if it throws nothing or another type.
func thrown<R>(
  _ comment: @autoclosure () -> Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation,
  by body: () throws -> R
) -> ContainerError? {
  var error: ContainerError?
  do { _ = try body() } catch let caught { error = caught as? ContainerError }
  #expect(error != nil, comment(), sourceLocation: sourceLocation)
  return error
}
