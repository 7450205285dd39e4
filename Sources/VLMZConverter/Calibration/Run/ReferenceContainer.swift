import VLMContainer
import VLMConversion
import VLMFoundation
import VLMTensor

/// The model in a form that loses little or nothing, which calibration and evaluation run.
enum ReferenceContainer {
  private static let calibrationSuffix = ".for-calibration"

  /// Where what calibration runs lies while it is made.
  static func path(beside output: String) -> String { output + calibrationSuffix }

  /// A source that is a container of this form is used itself. Any other is converted beside `output`,
  /// and the file's name is gone when this returns; its mapping stays.
  ///
  /// - Parameter suffix: of the file's name while it is there.
  /// - Throws: what the conversion throws.
  static func open(
    _ source: SourceModel, in form: SourceModel.RunForm, beside output: String,
    suffix: String = calibrationSuffix, ignoreUnexpected: Bool, pool: WorkerPool,
    cancelled: CancellationFlag?, progress: (Int, Int, String) -> Void
  ) throws -> Container {
    if let container = try source.container(in: form) { return container }
    let path = output + suffix
    let conversion = try Conversion(
      source: source, policy: try source.policy(for: form), ignoreUnexpected: ignoreUnexpected,
      pool: pool)
    // What a killed process left is replaced; anything else at that place stays.
    let isLeft = (try? Container.open(path: path, isInput: false)) != nil
    try OutputFile.check(path, overwrite: isLeft)
    OutputFile.hold(path)
    defer { OutputFile.discard(path) }
    _ = try conversion.run(to: path, overwrite: isLeft, cancelled: cancelled, progress: progress)
    return try Container.open(path: path, isInput: false)
  }
}
