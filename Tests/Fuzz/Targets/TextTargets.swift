import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText

enum TextTargets {
  /// What was parsed, written and parsed again is the same.
  static func json(_ bytes: UnsafeRawBufferPointer) {
    guard let value = parsed(bytes) else { return }
    for pretty in [false, true] {
      let text = value.serialized(pretty: pretty)
      do throws(JSONError) {
        // Writing may escape a character of one byte to six.
        precondition(text.utf8.count <= 64 * bytes.count + 64, "text grows by a small factor")
        let again = try JSONValue.parse(text)
        precondition(again == value, "a value survives being written")
      } catch {
        preconditionFailure("what was written cannot be parsed: \(error)")
      }
    }
  }

  /// A preprocessor's configuration, of a checkpoint or of a container, applied to pictures.
  static func preprocessing(_ bytes: UnsafeRawBufferPointer) {
    guard let value = parsed(bytes) else { return }
    for isCheckpoint in [true, false] {
      do throws(PreprocessingError) {
        let preprocessing =
          isCheckpoint
          ? try Preprocessing(checkpointConfig: value, name: "f")
          : try Preprocessing(json: value, name: "f")
        let again = try Preprocessing(json: preprocessing.json(), name: "again")
        precondition(again == preprocessing, "a configuration survives being written")
        apply(preprocessing)
      } catch {
        report(error)
      }
    }
  }

  private static func apply(_ preprocessing: Preprocessing) {
    let limits = ImageLimits(maximumPixels: 1 << 16)
    for (width, height) in [(1, 1), (3, 2), (1, 300)] {
      let image = Image(width: width, height: height, filledWith: .white)
      do throws(ImageError) {
        let pixels = try preprocessing.apply(image, name: "f", limits: limits)
        precondition(pixels.values.count <= 3 * limits.maximumPixels, "within the limits")
      } catch {
        report(error)
      }
    }
  }

  /// A container's `config`, and every tensor that the model of it asks for.
  static func modelConfig(_ bytes: UnsafeRawBufferPointer) {
    guard let value = parsed(bytes) else { return }
    do throws(ModelError) {
      let description = try ModelDescription(json: value)
      let again = try ModelDescription(json: description.json)
      precondition(again == description, "a description survives being written")
      for spec in try description.manifest() {
        precondition(!spec.path.isEmpty, "a tensor has a name")
      }
    } catch {
      report(error)
    }
  }

  static func parsed(_ bytes: UnsafeRawBufferPointer) -> JSONValue? {
    do throws(JSONError) {
      return try JSONValue.parse(bytes)
    } catch {
      precondition(!"\(error)".isEmpty, "an error says something")
      return nil
    }
  }
}
