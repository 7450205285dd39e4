import ArgumentParser

/// Where pictures come from, beside the names that are arguments.
struct PictureOptions: ParsableArguments {
  @Flag(
    name: .shortAndLong,
    help: "Take the pictures in folders, and in theirs, by their names; hidden ones are left out.")
  var recursive = false

  @Option(
    help: ArgumentHelp(
      "Names of pictures, a line each, behind those of the arguments; '-' reads them from standard "
        + "input, as they come.", valueName: "file"))
  var filesFrom: String?

  @Flag(
    name: [.customShort("0"), .customLong("null")],
    help: "Names of --files-from end in a zero byte, as find -print0 writes them.")
  var null = false

  func validate() throws {
    guard !null || filesFrom != nil else {
      throw ValidationError("--null: expected --files-from, whose names it is about")
    }
  }

  /// Those that were given.
  var given: [String] {
    let options: [(String, Bool)] = [
      ("--recursive", recursive), ("--files-from", filesFrom != nil),
    ]
    return options.filter(\.1).map(\.0)
  }
}
