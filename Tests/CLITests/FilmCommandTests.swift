import Foundation
import Testing
import VLMTestSupport

/// Questions about films, by `vlm-run --fps`.
@Suite("Films by the command") struct FilmCommandTests {
  private let folder: TemporaryFolder
  private static let film = TestFiles.fixture("smolvlm/pictures/film.gif")

  init() throws { folder = try TemporaryFolder() }

  private func model() throws -> String {
    let path = folder.path("model.vlmz")
    let outcome = try CommandRunner.convert(
      TestFiles.fixture("smolvlm/trained"), path, "-q", "--force")
    try #require(outcome.status == 0, "\(outcome.errors)")
    return path
  }

  private func ask(_ pictures: [String]) throws -> CommandRunner.Outcome {
    try CommandRunner.run(
      "vlm-run",
      [try model()] + pictures + ["--fps", "1", "-p", "What?", "-n", "1", "--json", "-q"])
  }

  private func copy(_ name: String) throws -> String {
    let picture = TestFiles.fixture("smolvlm/pictures/frame-0.png")
    let bytes = try Data(contentsOf: URL(fileURLWithPath: picture))
    try folder.write(name, Array(bytes))
    return folder.path(name)
  }

  @Test("frames that a shell sorted by bytes play in the order of their numbers")
  func order() throws {
    let names = try ["f1.png", "f10.png", "f2.png", "f9.png"].map(copy)
    let outcome = try ask(names)
    try #require(outcome.status == 0, "\(outcome.errors)")
    let json = try #require(
      try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    let images = try #require(json["images"] as? [String])
    #expect(
      images.map { ($0 as NSString).lastPathComponent } == [
        "f1.png", "f2.png", "f9.png", "f10.png",
      ])
  }

  @Test("a dry run lists the frames that the model would take")
  func dryRun() throws {
    let names = try (1...6).map { try copy("f\($0).png") }
    let outcome = try CommandRunner.run(
      "vlm-run",
      [try model()] + names + ["--fps", "2", "-p", "What?", "--dry-run", "--json", "-q"])
    try #require(outcome.status == 0, "\(outcome.errors)")
    let json = try #require(
      try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    let frames = try #require(json["frames"] as? [Int])
    let images = try #require(json["images"] as? [[String: Any]])
    #expect(frames.count == images.count && frames.count < 6 && !frames.isEmpty)
  }

  @Test("a GIF of several pictures that is shown as one is told of")
  func noteOfFilm() throws {
    let outcome = try CommandRunner.run(
      "vlm-run", [try model(), Self.film, "-p", "What?", "-n", "1"])
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.errors.contains("the first of 5 pictures is seen; --fps N"))
  }

  @Test("a film among the frames of another is refused with how long it is")
  func filmAmongFrames() throws {
    let outcome = try ask([try copy("f1.png"), Self.film])
    #expect(outcome.status != 0)
    #expect(outcome.errors.contains("frames among other pictures, expected it alone"))
  }

  @Test("an animation of which only the first picture is read is refused")
  func unreadFilm() throws {
    let name = try copy("f1.png")
    var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: name)))
    // Behind the header chunk, as an animated PNG has it; what it says does not matter here.
    bytes.insert(contentsOf: [0, 0, 0, 0] + Array("acTL".utf8) + [0, 0, 0, 0], at: 33)
    try folder.write("film.png", bytes)
    let outcome = try ask([folder.path("film.png")])
    #expect(outcome.status != 0)
    #expect(outcome.errors.contains("an animated PNG, whose first picture alone is read"))
  }
}
