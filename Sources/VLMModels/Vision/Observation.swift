import VLMTensor

/// A named intermediate of a model, as its family declares it: a case for each thing that can be
/// looked at.
package protocol ObservationPoint: Sendable {
  /// What it is called in the files that `--dump` writes.
  var name: String { get }
  /// The same of a tower under a language model.
  var nameUnderLanguageModel: String { get }
  /// What it is to who knows nothing of the model.
  var role: ObservationRole { get }
}

extension ObservationPoint {
  package var nameUnderLanguageModel: String { "tower.\(name)" }
  package var role: ObservationRole { .other }
}

/// What an intermediate is, whatever the model.
package enum ObservationRole: Sendable, Equatable {
  /// The normalised picture as the model sees it.
  case input
  /// The map that leaves stage `Int` of a convolutional tower, from 0.
  case stage(Int)
  /// The tokens behind so many layers of a transformer; behind 0, what enters the first.
  case layer(Int)
  /// Behind a layer of the branch that looks at a small copy of the picture.
  case lowResolution
  /// The map that leaves a stage of the branch that looks at all of it.
  case highResolution
  /// How much of the high resolution adapter `Int` adds, before its tanh.
  case gate(Int)
  /// What the tower gives.
  case features
  /// What the tower of a language model gives: what a projector makes visual tokens of.
  case visualTokens
  case other
}

/// What is seen of a running model.
package struct Observation {
  /// How the rows of a value lie.
  package enum Layout: Sendable, Equatable {
    /// Maps, channels last: `[batch * height * width, channels]`.
    case map(FeatureShape)
    /// One list of tokens, `[tokens, channels]`.
    case tokens
    /// A vector for each picture, `[batch, channels]`.
    case vectors
  }

  package let point: any ObservationPoint
  /// Valid while the observer runs.
  package let value: MatrixView
  package let layout: Layout

  package init(_ point: any ObservationPoint, _ value: MatrixView, _ layout: Layout) {
    self.point = point
    self.value = value
    self.layout = layout
  }

  package var name: String { point.name }
  package var role: ObservationRole { point.role }

  /// The same value under another name or in another layout.
  package func renamed(
    _ point: any ObservationPoint, layout: Layout? = nil
  ) -> Observation {
    Observation(point, value, layout ?? self.layout)
  }

  /// As PyTorch orders it: maps `[batch, channels, height, width]`, tokens `[1, tokens, channels]`,
  /// vectors `[batch, channels]`.
  package var planar: (shape: [Int], values: [Float]) {
    switch layout {
    case .map(let shape):
      (
        [shape.batch, shape.channels, shape.height, shape.width], value.channelsFirst(shape)
      )
    case .tokens: ([1, value.rows, value.columns], value.array())
    case .vectors: ([value.rows, value.columns], value.array())
    }
  }

  /// Rows and columns of the value with the extent that the layout gives them: of tokens one line.
  package var shape: FeatureShape {
    switch layout {
    case .map(let shape): shape
    case .tokens, .vectors:
      FeatureShape(batch: 1, height: 1, width: value.rows, channels: value.columns)
    }
  }
}

/// Sees the intermediates of a pass, in the order in which they come to be.
package typealias TowerObserver = (Observation) -> Void

/// The pictures that a tower is given.
package enum InputPoint: ObservationPoint {
  case pixels

  package var name: String { "pixel_values" }
  package var nameUnderLanguageModel: String { name }
  package var role: ObservationRole { .input }
}

extension MatrixView {
  /// A map `[batch * height * width, channels]` as PyTorch orders it: `[batch, c, h, w]`.
  package func channelsFirst(_ shape: FeatureShape) -> [Float] {
    let values = array()
    let (area, channels) = (shape.height * shape.width, shape.channels)
    var planar = [Float](repeating: 0, count: values.count)
    for image in 0..<shape.batch {
      let start = image * area * channels
      for pixel in 0..<area {
        for channel in 0..<channels {
          planar[start + channel * area + pixel] = values[start + pixel * channels + channel]
        }
      }
    }
    return planar
  }
}
