import VLMContainer
import VLMFoundation

extension BillOfMaterials {
  /// A CycloneDX 1.6 document: https://cyclonedx.org/docs/1.6/json/. The model is the component that
  /// it is about, with a model card; the sources are its ancestors.
  ///
  /// CycloneDX has no name for XXH64, so that hashes of that kind are properties.
  package var cycloneDX: JSONValue {
    [
      "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
      "bomFormat": "CycloneDX",
      "specVersion": "1.6",
      "serialNumber": .string("urn:uuid:\(uuid)"),
      "version": 1,
      "metadata": [
        "tools": [
          "components": [
            [
              "type": "application", "name": "vlm-convert", "version": .string(productVersion),
            ]
          ]
        ],
        "component": .object(model),
      ],
    ]
  }

  private var model: JSONObject {
    var model = JSONObject()
    model.set("type", "machine-learning-model")
    model.set("bom-ref", .string("vlmz:\(hexadecimal(rootHash))"))
    model.set("name", .string(name))
    // A container has no version of its own; its contents have a hash.
    model.set("version", .string(hexadecimal(rootHash)))
    model.set(
      "hashes", [["alg": "SHA-256", "content": .string(hexadecimal(sha256))]])
    if let license {
      model.set(
        "licenses", [["license": ["name": .string(license), "acknowledgement": "declared"]]])
    }
    model.set("pedigree", .object(pedigree))
    model.set("modelCard", .object(card))
    model.set("properties", .array(properties))
    return model
  }

  private var pedigree: JSONObject {
    var pedigree = JSONObject()
    let ancestors = steps.enumerated().flatMap { index, step in
      step.sources.map { Self.ancestor($0, of: index) }
    }
    if !ancestors.isEmpty { pedigree.set("ancestors", .array(ancestors)) }
    pedigree.set("notes", .string(recipe))
    return pedigree
  }

  /// - Parameter step: 0 for what the container was made from, 1 for what that was made from.
  private static func ancestor(_ source: Source, of step: Int) -> JSONValue {
    var properties = [property("vlmz:step", "\(step)")]
    if let count = source.byteCount { properties.append(property("vlmz:bytes", "\(count)")) }
    properties.append(property("vlmz:xxh64", source.xxh64 ?? "NOASSERTION"))
    return [
      "type": "file", "name": .string(source.name), "properties": .array(properties),
    ]
  }

  private var card: JSONObject {
    var parameters = JSONObject()
    if let architecture { parameters.set("architectureFamily", .string(architecture)) }
    var card = JSONObject()
    card.set("modelParameters", .object(parameters))
    return card
  }

  private var properties: [JSONValue] {
    var properties = [
      Self.property("vlmz:root-hash", hexadecimal(rootHash)),
      Self.property("vlmz:bytes", "\(byteCount)"),
      Self.property("vlmz:tensors", "\(tensorCount)"),
      Self.property("vlmz:parameters", "\(parameterCount)"),
    ]
    for scheme in schemes {
      properties.append(Self.property("vlmz:tensors:\(scheme.name)", "\(scheme.tensors)"))
    }
    for (index, step) in steps.enumerated() {
      let name = "vlmz:step:\(index)"
      properties.append(Self.property(name + ":tool", step.tool ?? "NOASSERTION"))
      properties.append(Self.property(name + ":tool-version", step.version ?? "NOASSERTION"))
      properties.append(Self.property(name + ":scheme", step.scheme ?? "NOASSERTION"))
      for member in step.details {
        let value = member.value.stringValue ?? member.value.serialized()
        properties.append(Self.property("\(name):\(member.key)", value))
      }
    }
    if steps.isEmpty { properties.append(Self.property("vlmz:provenance", "NOASSERTION")) }
    if license == nil { properties.append(Self.property("vlmz:license", "NOASSERTION")) }
    return properties
  }

  private static func property(_ name: String, _ value: String) -> JSONValue {
    ["name": .string(name), "value": .string(value)]
  }
}
