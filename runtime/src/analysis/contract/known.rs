//! Compares the WIT of a package with the contract that this program contains.
//!
//! A proof from WIT is a proof from the contract. A package that only has the name of the contract proves nothing: for
//! example, a `payload-read` without functions says nothing about what a component reads.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::OnceLock;

use wit_parser::{
    Function, FunctionKind, Handle, InterfaceId, PackageId, Resolve, SourceMap, Span, Type, TypeDefKind, TypeOwner,
    WorldId, WorldItem, WorldKey,
};

use super::error::{ContractError, Reason};
use super::packages::Packages;
use crate::contract::{CONTRACT, WIT};

fn known() -> &'static (Resolve, PackageId) {
    static KNOWN: OnceLock<(Resolve, PackageId)> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let mut sources = SourceMap::new();
        WIT.iter().for_each(|(name, text)| sources.push(name.as_ref(), *text));
        let group = sources.parse().map_err(|(_, error)| error).expect("the contract is WIT");
        let mut resolve = Resolve { all_features: true, ..Resolve::default() };
        let package = resolve.push_groups(group, Vec::new()).expect("the contract is whole");
        (resolve, package)
    })
}

impl Packages {
    /// Refuses a package that has the name of the contract but differs from it. It may have additional worlds.
    pub(super) fn check_contract(&self) -> Result<(), ContractError> {
        let of_contract = |(_, package): &(PackageId, &wit_parser::Package)| package.name.to_string() == CONTRACT;
        let found = self.resolve.packages.iter().find(of_contract);
        let Some((package, _)) = found else { return Ok(()) };
        match difference(&self.resolve, package) {
            None => Ok(()),
            Some((what, span)) => {
                let message = format!("the WIT differs from the contract `{CONTRACT}`: {what}");
                let error = ContractError::new(Reason::Changed, message).at(span.and_then(|span| self.location(span)));
                Err(error.help(format!(
                    "use the WIT of `{CONTRACT}` as `cargo torvyn new` writes it, and put interfaces of your own into a \
                     package of your own"
                )))
            }
        }
    }
}

/// The first difference in a package, as a phrase, and where it is.
fn difference(resolve: &Resolve, package: PackageId) -> Option<(String, Option<Span>)> {
    let (known, contract) = known();
    let (contract, package) = (&known.packages[*contract], &resolve.packages[package]);
    for (name, id) in &contract.interfaces {
        let Some(found) = package.interfaces.get(name) else {
            return Some((format!("interface `{name}` is missing"), None));
        };
        let expected = of_interface(known, *id);
        let different = compare(&format!("interface `{name}`"), &expected, &of_interface(resolve, *found));
        if let Some((what, span)) = different {
            return Some((what, span.or(Some(resolve.interfaces[*found].span))));
        }
    }
    if let Some((name, id)) = package.interfaces.iter().find(|(name, _)| !contract.interfaces.contains_key(*name)) {
        return Some((format!("interface `{name}` is not in the contract"), Some(resolve.interfaces[*id].span)));
    }
    for (name, id) in &contract.worlds {
        let Some(found) = package.worlds.get(name) else {
            return Some((format!("world `{name}` is missing"), None));
        };
        let different = compare(&format!("world `{name}`"), &of_world(known, *id), &of_world(resolve, *found));
        if let Some((what, span)) = different {
            return Some((what, span.or(Some(resolve.worlds[*found].span))));
        }
    }
    None
}

/// The items of an interface or a world: by kind and name, the definition and where it is.
type Items = BTreeMap<(&'static str, String), (String, Span)>;

fn compare(place: &str, expected: &Items, found: &Items) -> Option<(String, Option<Span>)> {
    for ((kind, name), (known, _)) in expected {
        match found.get(&(*kind, name.clone())) {
            None => return Some((format!("{kind} `{name}` of {place} is missing"), None)),
            Some((other, span)) if other != known => {
                return Some((format!("{kind} `{name}` of {place} is `{other}`, expected `{known}`"), Some(*span)));
            }
            Some(_) => {}
        }
    }
    let ((kind, name), (_, span)) = found.iter().find(|(key, _)| !expected.contains_key(key))?;
    Some((format!("{kind} `{name}` of {place} is not in the contract"), Some(*span)))
}

fn of_interface(resolve: &Resolve, interface: InterfaceId) -> Items {
    let interface = &resolve.interfaces[interface];
    let functions =
        interface.functions.iter().map(|(name, of)| (("function", name.clone()), (function(resolve, of), of.span)));
    let types = interface.types.iter().map(|(name, id)| {
        let ty = &resolve.types[*id];
        (("type", name.clone()), (definition(resolve, &ty.kind), ty.span))
    });
    functions.chain(types).collect()
}

fn of_world(resolve: &Resolve, world: WorldId) -> Items {
    let world = &resolve.worlds[world];
    let item = |kind: &'static str, key: &WorldKey, item: &WorldItem| {
        let what = match item {
            WorldItem::Interface { .. } => "interface".to_string(),
            WorldItem::Function(of) => function(resolve, of),
            WorldItem::Type { id, .. } => definition(resolve, &resolve.types[*id].kind),
        };
        ((kind, resolve.name_world_key(key)), (what, item.span()))
    };
    let imports = world.imports.iter().map(|(key, of)| item("import", key, of));
    let exports = world.exports.iter().map(|(key, of)| item("export", key, of));
    imports.chain(exports).collect()
}

/// The type of a function, in WIT syntax.
fn function(resolve: &Resolve, function: &Function) -> String {
    let kind = match function.kind {
        FunctionKind::Freestanding | FunctionKind::Method(_) => "",
        FunctionKind::Static(_) => "static ",
        FunctionKind::Constructor(_) => "constructor ",
        FunctionKind::AsyncFreestanding | FunctionKind::AsyncMethod(_) => "async ",
        FunctionKind::AsyncStatic(_) => "static async ",
    };
    let params = function.params.iter().map(|param| format!("{}: {}", param.name, name(resolve, param.ty)));
    let params = params.collect::<Vec<_>>().join(", ");
    let result = function.result.map_or_else(String::new, |result| format!(" -> {}", name(resolve, result)));
    format!("{kind}func({params}){result}")
}

/// The name of a type, with its interface; for an anonymous type its definition.
fn name(resolve: &Resolve, ty: Type) -> String {
    let Type::Id(id) = ty else { return format!("{ty:?}").to_ascii_lowercase() };
    let ty = &resolve.types[id];
    match (&ty.name, ty.owner) {
        (Some(name), TypeOwner::Interface(interface)) => match resolve.interfaces[interface].name.as_deref() {
            Some(interface) => format!("{interface}.{name}"),
            None => name.clone(),
        },
        (Some(name), _) => name.clone(),
        (None, _) => definition(resolve, &ty.kind),
    }
}

/// The definition of a type, in WIT syntax.
fn definition(resolve: &Resolve, kind: &TypeDefKind) -> String {
    let named = |ty: Type| name(resolve, ty);
    let id = |id| name(resolve, Type::Id(id));
    let or_none = |ty: Option<Type>| ty.map_or_else(|| "_".to_string(), named);
    match kind {
        TypeDefKind::Record(of) => {
            listed("record", of.fields.iter().map(|field| (&*field.name, Some(format!(": {}", named(field.ty))))))
        }
        TypeDefKind::Resource => "resource".to_string(),
        TypeDefKind::Handle(Handle::Own(of)) => format!("own<{}>", id(*of)),
        TypeDefKind::Handle(Handle::Borrow(of)) => format!("borrow<{}>", id(*of)),
        TypeDefKind::Flags(of) => listed("flags", of.flags.iter().map(|flag| (&*flag.name, None))),
        TypeDefKind::Tuple(of) => {
            format!("tuple<{}>", of.types.iter().map(|ty| named(*ty)).collect::<Vec<_>>().join(", "))
        }
        TypeDefKind::Variant(of) => {
            listed("variant", of.cases.iter().map(|case| (&*case.name, case.ty.map(|ty| format!("({})", named(ty))))))
        }
        TypeDefKind::Enum(of) => listed("enum", of.cases.iter().map(|case| (&*case.name, None))),
        TypeDefKind::Option(of) => format!("option<{}>", named(*of)),
        TypeDefKind::Result(of) => format!("result<{}, {}>", or_none(of.ok), or_none(of.err)),
        TypeDefKind::List(of) => format!("list<{}>", named(*of)),
        TypeDefKind::Map(key, value) => format!("map<{}, {}>", named(*key), named(*value)),
        TypeDefKind::FixedLengthList(of, length) => format!("list<{}, {length}>", named(*of)),
        TypeDefKind::Future(of) => format!("future<{}>", or_none(*of)),
        TypeDefKind::Stream(of) => format!("stream<{}>", or_none(*of)),
        TypeDefKind::Type(of) => named(*of),
        TypeDefKind::Unknown => "unknown".to_string(),
    }
}

fn listed<'a>(kind: &str, parts: impl Iterator<Item = (&'a str, Option<String>)>) -> String {
    let mut text = format!("{kind} {{ ");
    for (number, (name, more)) in parts.enumerate() {
        let comma = if number == 0 { "" } else { ", " };
        write!(text, "{comma}{name}{}", more.unwrap_or_default()).ok();
    }
    text + " }"
}
