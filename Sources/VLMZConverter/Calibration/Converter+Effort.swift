import VLMConversion
import VLMTensor

/// What the effort of a calibration comes to.
extension Converter.Calibration {
  /// The most that is kept of an input.
  var mostDetail: InputStatistics.Detail { effort == .fast ? .moments : .hessian }

  /// How much of the data is run with errors in each matrix, so that it takes about the time of the
  /// calibration: a tower runs as a whole for each of its matrices.
  ///
  /// - Parameter parameters: of the whole model.
  func comparedAmount(parameters: Int) -> SensitivityRun.Amount {
    let pictures = parameters < 5_000_000 ? 32 : parameters < 200_000_000 ? 6 : 2
    return effort == .best
      ? .init(positions: 2048, pictures: 4 * pictures)
      : .init(positions: 512, pictures: pictures)
  }
}

extension StatisticsFile {
  /// What is used of the statistics.
  func limited(by effort: Converter.Effort?) -> StatisticsFile {
    effort == .fast ? withoutHessians : self
  }
}
