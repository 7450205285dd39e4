import VLMFoundation
import VLMImages

#if canImport(Glibc)
  import Glibc
#endif

/// Pictures with the statistics of photographs, for calibration without any: shapes of all sizes that
/// hide one another, the "dead leaves" of Lee, Mumford and Huang ("Occlusion models for natural
/// images", 2001), each shaded, and rough with noise of several scales.
///
/// The same number always gives the same picture.
enum DeadLeaves {
  private static let side = 448
  private static let maximumLeaves = 5000

  static func picture(_ number: Int) -> Image {
    // Landscape, portrait, square.
    let (width, height) =
      [(side, side * 3 / 4), (side * 3 / 4, side), (side, side)][abs(number) % 3]
    var random = SplitMix64(seed: 0x1eaf ^ UInt64(bitPattern: Int64(number)))
    var canvas = Canvas(width: width, height: height, light: Color.light(&random))
    // From the front to the back, until nothing shines through.
    for _ in 0..<maximumLeaves where !canvas.isCovered {
      canvas.paint(Leaf(width: width, height: height, &random))
    }
    return Image(width: width, height: height, pixels: canvas.pixels)
  }

  /// Linear red, green and blue.
  struct Color {
    var red: Float
    var green: Float
    var blue: Float

    /// Greys mostly, of a brightness that is even in its logarithm.
    init(_ random: inout SplitMix64) {
      let brightness = exp2(Float(random.nextUnit()) * 6 - 6)
      let (warmth, tint) = (random.normal * 0.25, random.normal * 0.12)
      red = brightness * exp(warmth + tint)
      green = brightness * exp(-tint)
      blue = brightness * exp(-warmth + tint)
    }

    private init(red: Float, green: Float, blue: Float) {
      (self.red, self.green, self.blue) = (red, green, blue)
    }

    /// The colour of the light over a whole picture.
    static func light(_ random: inout SplitMix64) -> Color {
      let warmth = random.normal * 0.15
      let gain = exp(random.normal * 0.3)
      return Color(red: gain * exp(warmth), green: gain, blue: gain * exp(-warmth))
    }
  }

  /// One shape.
  struct Leaf {
    enum Outline: Int { case ellipse, rectangle, triangle }

    let outline: Outline
    let x: Float
    let y: Float
    /// Half the length along each of its axes, in pixels.
    let long: Float
    let short: Float
    let cosine: Float
    let sine: Float
    let color: Color
    /// Change of brightness from one end to the other.
    let shade: Float
    let roughness: Float
    let seed: UInt32

    init(width: Int, height: Int, _ random: inout SplitMix64) {
      outline = Outline(rawValue: Int(random.next() % 3)) ?? .ellipse
      x = Float(random.nextUnit()) * Float(width)
      y = Float(random.nextUnit()) * Float(height)
      // The density of sizes falls with their third power: so scale does not matter.
      let (least, most) = (Float(5), Float(max(width, height)) / 2)
      let share = Float(random.nextUnit())
      let low = 1 / (least * least)
      long = 1 / (low - share * (low - 1 / (most * most))).squareRoot()
      short = long * (0.3 + 0.7 * Float(random.nextUnit()))
      let angle = Float(random.nextUnit()) * 2 * .pi
      (cosine, sine) = (cos(angle), sin(angle))
      color = Color(&random)
      shade = random.normal * 0.5
      roughness = 0.4 * Float(random.nextUnit())
      seed = UInt32(truncatingIfNeeded: random.next())
    }

    /// Whether the point, in shares of the half lengths, is inside.
    func contains(_ u: Float, _ v: Float) -> Bool {
      switch outline {
      case .ellipse: u * u + v * v <= 1
      case .rectangle: abs(u) <= 1 && abs(v) <= 1
      case .triangle: v >= -1 && abs(u) <= (1 - v) / 2
      }
    }
  }

  /// What is painted on, from the front to the back.
  struct Canvas {
    let width: Int
    let height: Int
    let light: Color
    private(set) var pixels: [UInt8]
    private var covered: [Bool]
    private var left: Int

    var isCovered: Bool { left == 0 }

    init(width: Int, height: Int, light: Color) {
      (self.width, self.height, self.light) = (width, height, light)
      pixels = [UInt8](repeating: 128, count: width * height * 3)
      left = width * height
      covered = [Bool](repeating: false, count: left)
    }

    mutating func paint(_ leaf: Leaf) {
      let reach = leaf.long * 1.5
      let columns = max(0, Int(leaf.x - reach))..<max(0, min(width, Int(leaf.x + reach) + 1))
      let rows = max(0, Int(leaf.y - reach))..<max(0, min(height, Int(leaf.y + reach) + 1))
      guard !columns.isEmpty, !rows.isEmpty else { return }
      pixels.withUnsafeMutableBufferPointer { pixels in
        for row in rows {
          for column in columns where !covered[row * width + column] {
            let (dx, dy) = (Float(column) - leaf.x, Float(row) - leaf.y)
            let u = (dx * leaf.cosine + dy * leaf.sine) / leaf.long
            let v = (dy * leaf.cosine - dx * leaf.sine) / leaf.short
            guard leaf.contains(u, v) else { continue }
            covered[row * width + column] = true
            left -= 1
            let noise = Noise.value(column, row, seed: leaf.seed)
            let gain = exp(leaf.shade * u + leaf.roughness * noise)
            let place = (row * width + column) * 3
            pixels[place] = Self.sample(leaf.color.red * light.red * gain)
            pixels[place + 1] = Self.sample(leaf.color.green * light.green * gain)
            pixels[place + 2] = Self.sample(leaf.color.blue * light.blue * gain)
          }
        }
      }
    }

    /// Linear light as a camera stores it: about its square root.
    private static func sample(_ linear: Float) -> UInt8 {
      UInt8(min(255, max(0, (linear.squareRoot() * 255).rounded())))
    }
  }

  /// Noise of three scales, about -1 to 1: values at the corners of a grid, straight lines between.
  enum Noise {
    static func value(_ column: Int, _ row: Int, seed: UInt32) -> Float {
      var sum: Float = 0
      for octave in 0..<3 {
        let cell = 2 << (2 * octave)
        let (left, top) = (column / cell, row / cell)
        let (u, v) = (Float(column % cell) / Float(cell), Float(row % cell) / Float(cell))
        let salt = seed &+ UInt32(octave)
        let upper = corner(left, top, salt) * (1 - u) + corner(left + 1, top, salt) * u
        let lower = corner(left, top + 1, salt) * (1 - u) + corner(left + 1, top + 1, salt) * u
        sum += upper * (1 - v) + lower * v
      }
      return sum / 1.5
    }

    /// A hash of a corner, -1 to 1 (after Wang's integer hash).
    private static func corner(_ x: Int, _ y: Int, _ seed: UInt32) -> Float {
      var h = seed &+ UInt32(truncatingIfNeeded: x) &* 0x9e37_79b1
      h = (h ^ (h >> 15)) &+ UInt32(truncatingIfNeeded: y) &* 0x85eb_ca77
      h = (h ^ (h >> 13)) &* 0xc2b2_ae3d
      h ^= h >> 16
      return Float(h) / Float(UInt32.max) * 2 - 1
    }
  }
}

extension SplitMix64 {
  /// About normal: the sum of twelve even numbers, mean 0, variance 1.
  fileprivate var normal: Float {
    mutating get { Float((0..<12).reduce(0.0) { sum, _ in sum + nextUnit() } - 6) }
  }
}
