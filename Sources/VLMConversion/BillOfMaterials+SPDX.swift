import VLMContainer
import VLMFoundation

extension BillOfMaterials {
  /// An SPDX 2.3 document: https://spdx.github.io/spdx-spec/v2.3/. The model is a package that was
  /// generated from one package a source.
  ///
  /// SPDX demands a date, and a container has none: the one that stands for it is said to be none.
  package var spdx: JSONValue {
    var packages = [JSONValue.object(modelPackage)]
    var relationships = [Self.relationship("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Model")]
    for (index, step) in steps.enumerated() {
      for (number, source) in step.sources.enumerated() {
        let id = "SPDXRef-Source-\(index)-\(number)"
        packages.append(.object(Self.package(source, id: id)))
        relationships.append(
          Self.relationship(
            "SPDXRef-Model", index == 0 ? "GENERATED_FROM" : "DESCENDANT_OF", id))
      }
    }
    return [
      "spdxVersion": "SPDX-2.3",
      "dataLicense": "CC0-1.0",
      "SPDXID": "SPDXRef-DOCUMENT",
      "name": .string(name),
      "documentNamespace": .string("urn:uuid:\(uuid)"),
      "creationInfo": [
        "created": "1970-01-01T00:00:00Z",
        "creators": [.string("Tool: vlm-convert-\(productVersion)")],
        "comment": "The date is not known: the file has none.",
      ],
      "packages": .array(packages),
      "relationships": .array(relationships),
    ]
  }

  private var modelPackage: JSONObject {
    var package = JSONObject()
    package.set("SPDXID", "SPDXRef-Model")
    package.set("name", .string(name))
    package.set("versionInfo", .string(hexadecimal(rootHash)))
    package.set("downloadLocation", "NOASSERTION")
    package.set("filesAnalyzed", false)
    package.set(
      "checksums",
      [["algorithm": "SHA256", "checksumValue": .string(hexadecimal(sha256))]])
    package.set("licenseConcluded", "NOASSERTION")
    // Other words of the source's are no expression of SPDX.
    let identifier = license.flatMap { SPDXLicense.identifier($0) }
    package.set("licenseDeclared", .string(identifier ?? "NOASSERTION"))
    if let license {
      package.set("licenseComments", .string("The source states: \(license)"))
    }
    package.set("copyrightText", "NOASSERTION")
    package.set("sourceInfo", .string(recipe))
    package.set("primaryPackagePurpose", "OTHER")
    let parts = schemes.map { "\($0.tensors) of \($0.name)" }.joined(separator: ", ")
    package.set(
      "comment",
      .string(
        "A machine-learning model, architecture \(architecture ?? "NOASSERTION"), "
          + "\(parameterCount) parameters in \(counted(tensorCount, "tensor")) (\(parts)), "
          + "root hash \(hexadecimal(rootHash))"))
    return package
  }

  private static func package(_ source: Source, id: String) -> JSONObject {
    var package = JSONObject()
    package.set("SPDXID", .string(id))
    package.set("name", .string(source.name))
    package.set("downloadLocation", "NOASSERTION")
    package.set("filesAnalyzed", false)
    package.set("licenseConcluded", "NOASSERTION")
    package.set("licenseDeclared", "NOASSERTION")
    package.set("copyrightText", "NOASSERTION")
    let size = source.byteCount.map { "\($0) bytes" } ?? "unknown size"
    package.set(
      "comment", .string("A file of \(size), XXH64 \(source.xxh64 ?? "NOASSERTION")"))
    return package
  }

  private static func relationship(_ from: String, _ type: String, _ to: String) -> JSONValue {
    [
      "spdxElementId": .string(from), "relationshipType": .string(type),
      "relatedSpdxElement": .string(to),
    ]
  }
}
