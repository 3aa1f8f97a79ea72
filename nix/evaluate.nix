# Looks packages up in a package set and describes each one as JSON. Assumes nothing about the set except its
# attributes: for example, it may have no `lib`.
#
# `request` is JSON, so that text from clients is data and never code:
#   folder    folder with the set's default.nix: a store path, or a live folder
#   system    Nix system to evaluate for
#   packages  names; dots reach into sets
#   marker    a random word. "MARKER INDEX" is traced before each package is forced, so the last marker on
#             stderr names the package that failed. (tryEval catches only some errors and loses their
#             message.) The marker alone is traced before the set itself is forced.
{ request }:

let
  inherit (builtins)
    attrNames elemAt filter fromJSON functionArgs genList hasAttr head isAttrs isFunction isInt
    isString length match replaceStrings split stringLength trace typeOf;

  inherit (fromJSON request) folder system packages marker;

  letters = word: genList (i: builtins.substring i 1 word) (stringLength word);
  toLower = replaceStrings (letters "ABCDEFGHIJKLMNOPQRSTUVWXYZ") (letters "abcdefghijklmnopqrstuvwxyz");

  # functionArgs is {} for both `args: …` and `{ ... }: …`, which accept any argument.
  call = f:
    let named = functionArgs f;
    in f (if named == { } || named ? system then { inherit system; } else { });

  set =
    let
      imported = import folder;
      called = if isFunction imported then call imported else imported;
    in
    if isAttrs called then called
    else throw "default.nix gives a ${typeOf called}, not an attribute set of packages";

  # Returns the name of the attribute for a name, or null. Ignores case only if no attribute has this exact name,
  # because a look-up without case takes time linear in the size of the set.
  spelling = members: name:
    let
      ignoringCase = requested:
        let same = filter (attribute: toLower attribute == toLower requested) (attrNames members);
        in if same == [ ] then null else head same;
      find = requested: if hasAttr requested members then requested else ignoringCase requested;
      unprefixed = find name;
    in
    if unprefixed == null && match "[0-9].*" name != null then find "_${name}" else unprefixed;

  # Follows a dotted name. Returns { attribute; value; }, or { missing; known; } with the attributes of the
  # set in which a part of the name is missing.
  walk = { attribute, value }: parts:
    let
      part = head parts;
      spelled = if isAttrs value then spelling value part else null;
    in
    if parts == [ ] then { inherit attribute value; }
    else if spelled == null then {
      missing = attribute;
      known = if isAttrs value then attrNames value else [ ];
    }
    else walk
      {
        attribute = if attribute == "" then spelled else "${attribute}.${spelled}";
        value = value.${spelled};
      }
      (builtins.tail parts);

  describe = name:
    let
      found = walk { attribute = ""; value = set; } (filter isString (split "\\." name));
      inherit (found) value;
      # Sets also contain functions that override them, and attributes for tools.
      packageNames = filter (name: match "__.*|override.*|recurseForDerivations" name == null)
        (attrNames value);
      priority = value.meta.priority or null;
      mainProgram = value.meta.mainProgram or null;
      imageConfig = value.imageConfig or value.passthru.imageConfig or null;
      # Store paths that the text of the config mentions must be in the image, too.
      context = builtins.getContext (builtins.toJSON imageConfig);
      outputsOf = derivation:
        map (outputName: { inherit derivation outputName; }) (context.${derivation}.outputs or [ ]);
    in
    if found ? missing then { status = "missing"; inherit (found) missing known; }
    else if !isAttrs value then { status = "not-a-derivation"; type = typeOf value; }
    else if value.type or null != "derivation" then {
      status = "set";
      members = genList (elemAt packageNames) (if length packageNames < 10 then length packageNames else 10);
    }
    else {
      status = "found";
      inherit (found) attribute;
      derivation = value.drvPath;
      outputName = value.outputName or "out";
      storePath = value.outPath;
      system = value.system or system;
      # nix-env and buildEnv use priority 5 for a package that sets none.
      priority = if isInt priority then priority else 5;
      mainProgram = if isString mainProgram then mainProgram else null;
      inherit imageConfig;
      requires = if context == { } then null else builtins.concatMap outputsOf (attrNames context);
    };

  marked = index:
    let description = describe (elemAt packages index);
    in trace "${marker} ${toString index}" (builtins.deepSeq description description);
in
trace marker (builtins.seq set (genList marked (length packages)))
