#if canImport(Glibc)
  import Glibc
#endif

/// Pillow's resampling filters.
package enum Resampling: String, Sendable, CaseIterable {
  case nearest
  case box
  case bilinear
  case hamming
  case bicubic
  case lanczos

  /// Pillow's number of the filter, used in preprocessor configurations.
  package init?(code: Int) {
    switch code {
    case 0: self = .nearest
    case 1: self = .lanczos
    case 2: self = .bilinear
    case 3: self = .bicubic
    case 4: self = .box
    case 5: self = .hamming
    default: return nil
    }
  }

  /// Half the width of the filter, in pixels of the coarser of source and result.
  var support: Double {
    switch self {
    case .nearest: 0
    case .box: 0.5
    case .bilinear, .hamming: 1
    case .bicubic: 2
    case .lanczos: 3
    }
  }

  func weight(_ position: Double) -> Double {
    let x = abs(position)
    switch self {
    case .nearest: return 0
    case .box: return position > -0.5 && position <= 0.5 ? 1 : 0
    case .bilinear: return x < 1 ? 1 - x : 0
    case .hamming:
      if x == 0 { return 1 }
      if x >= 1 { return 0 }
      let angle = x * Double.pi
      return sin(angle) / angle * (0.54 + 0.46 * cos(angle))
    case .bicubic:
      // Keys' cubic with a = -0.5.
      let a = -0.5
      if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
      return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0
    case .lanczos:
      func sinc(_ value: Double) -> Double {
        if value == 0 { return 1 }
        let angle = value * Double.pi
        return sin(angle) / angle
      }
      return position >= -3 && position < 3 ? sinc(position) * sinc(position / 3) : 0
    }
  }
}
