//! Decides whether the debug information of a module is looked at.
//!
//! Line tables only tell a person where to look, but a component can have any: a megabyte of them can stand for gigabytes of
//! names and paths, and for functions within functions that overflow the stack. So what looking up a line can take is added
//! up first, with every part counted as often as others refer to it, and without allocating as much.

use std::borrow::Cow;
use std::collections::HashMap;

use addr2line::gimli::{
    self, AttributeValue, Dwarf, EndianSlice, LittleEndian, Reader as _, Section as _, SectionId, Unit, UnitHeader,
    constants,
};

use wasmparser::{Parser, Payload};

use crate::component::strip::strip_named;
use crate::error::LoadError;

type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// Bytes that the lines of one module may take in memory. A line table of 1 MiB takes about half of that.
const MOST_BYTES: usize = 64 << 20;
/// Bytes of the header of a line table, of which each file takes some hundred in memory.
const MAX_LINE_HEADER: usize = 512 << 10;
/// The deepest nesting of entries. The parser calls itself for each inlined function.
const MAX_DEPTH: isize = 256;
/// Bytes of the names and paths of one place in the code, of all functions that are inlined there.
const MAX_TEXT: usize = 1 << 20;

/// Bytes in memory of a unit, a declaration of an entry and one of its attributes, a function, a range, a file, a row of a
/// line table for each byte of its program, and the part of an address table for each of its bytes.
const UNIT: usize = 1 << 10;
const DECLARATION: usize = 128;
const ATTRIBUTE: usize = 16;
const FUNCTION: usize = 256;
const RANGE: usize = 64;
const FILE: usize = 128;
const ROW: usize = 32;
const ADDRESS_BYTE: usize = 8;

/// The debug information in these custom sections of a module. `None` if there is none, or if looking into it could take too
/// much memory.
pub(crate) fn load<'a>(custom: &[(&str, &'a [u8])]) -> Option<Dwarf<Slice<'a>>> {
    let dwarf = parse(custom)?;
    is_modest(&dwarf).then_some(dwarf)
}

/// The component, without debug information if that of one of its modules is not looked at: the engine looks into it for
/// every trap.
///
/// # Errors
///
/// If `component` cannot be parsed to the end.
pub(crate) fn without_excessive(component: &[u8]) -> Result<Cow<'_, [u8]>, LoadError> {
    // The custom sections of the enclosing modules and components, outermost first.
    let mut around: Vec<Vec<(&str, &[u8])>> = Vec::new();
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(|error| LoadError::Malformed(error.to_string()))? {
            Payload::Version { .. } => around.push(Vec::new()),
            Payload::CustomSection(section) => {
                around.iter_mut().last().into_iter().for_each(|custom| custom.push((section.name(), section.data())));
            }
            Payload::End(_) if around.pop().is_some_and(|custom| is_excessive(&custom)) => {
                return strip_named(component, |name| name.starts_with(".debug")).map(Cow::Owned);
            }
            _ => {}
        }
    }
    Ok(Cow::Borrowed(component))
}

/// Whether there is debug information that looking into could take too much memory.
fn is_excessive(custom: &[(&str, &[u8])]) -> bool {
    let has_twice = |name: &str| custom.iter().filter(|(known, _)| *known == name).count() > 1;
    let is_repeated = custom.iter().any(|(name, _)| name.starts_with(".debug") && has_twice(name));
    is_repeated || parse(custom).is_some_and(|dwarf| !is_modest(&dwarf))
}

fn parse<'a>(custom: &[(&str, &'a [u8])]) -> Option<Dwarf<Slice<'a>>> {
    let section = |name: &str| custom.iter().find(|(known, _)| *known == name).map(|(_, data)| *data);
    section(SectionId::DebugInfo.name())?;
    let load = |id: SectionId| Ok(EndianSlice::new(section(id.name()).unwrap_or_default(), LittleEndian));
    Dwarf::load(load).unwrap_or_else(|never: std::convert::Infallible| match never {}).into()
}

/// Information that cannot be parsed is not looked at either.
fn is_modest(dwarf: &Dwarf<Slice<'_>>) -> bool {
    let mut estimate = Estimate { dwarf, left: MOST_BYTES, declarations: HashMap::new(), depth: 0, text: 0 };
    estimate.all().is_ok_and(|fits| fits.is_some())
}

/// What the lines of a module can take. `None` in its results: too much.
struct Estimate<'d, 'a> {
    dwarf: &'d Dwarf<Slice<'a>>,
    left: usize,
    /// What the declarations at an offset take.
    declarations: HashMap<usize, usize>,
    depth: isize,
    /// Bytes of the longest name and of the longest path.
    text: usize,
}

type Fits = gimli::Result<Option<()>>;

macro_rules! fits {
    ($fits:expr) => {
        if $fits.is_none() {
            return Ok(None);
        }
    };
}

impl<'a> Estimate<'_, 'a> {
    fn spend(&mut self, count: usize, bytes: usize) -> Option<()> {
        self.left = self.left.checked_sub(count.checked_mul(bytes)?)?;
        Some(())
    }

    fn all(&mut self) -> Fits {
        fits!(self.spend(self.dwarf.debug_aranges.reader().len(), ADDRESS_BYTE));
        let (mut units, mut longest) = (self.dwarf.units(), 0);
        while let Some(header) = units.next()? {
            self.text = 0;
            fits!(self.unit(header)?);
            longest = longest.max(self.text);
        }
        Ok((longest.saturating_mul(self.depth.unsigned_abs()) <= MAX_TEXT).then_some(()))
    }

    fn unit(&mut self, header: UnitHeader<Slice<'a>>) -> Fits {
        let declarations = self.declarations(header.debug_abbrev_offset().0)?;
        fits!(self.spend(1, UNIT.saturating_add(declarations)));
        fits!(self.line_header(&header)?);
        let unit = self.dwarf.unit(header)?;
        fits!(self.lines(&unit)?);
        self.entries(&unit)
    }

    /// What the declarations of entries at an offset take. Units can share them, and each has its own copy in memory.
    fn declarations(&mut self, offset: usize) -> gimli::Result<usize> {
        if let Some(known) = self.declarations.get(&offset) {
            return Ok(*known);
        }
        let mut bytes = 0usize;
        let mut section = *self.dwarf.debug_abbrev.reader();
        section.skip(offset)?;
        while section.read_uleb128()? != 0 {
            bytes += DECLARATION;
            section.read_uleb128()?;
            section.read_u8()?;
            loop {
                let (name, form) = (section.read_uleb128()?, section.read_uleb128()?);
                if (name, form) == (0, 0) {
                    break;
                }
                bytes += ATTRIBUTE;
                if form == u64::from(constants::DW_FORM_implicit_const.0) {
                    section.read_sleb128()?;
                }
            }
        }
        self.declarations.insert(offset, bytes);
        Ok(bytes)
    }

    /// Reads the length of the header of a line table, which is parsed together with its unit.
    fn line_header(&self, header: &UnitHeader<Slice<'a>>) -> Fits {
        let declarations = header.abbreviations(&self.dwarf.debug_abbrev)?;
        let mut entries = header.entries_raw(&declarations, None)?;
        let Some(root) = entries.read_abbreviation()? else { return Ok(Some(())) };
        for attribute in root.attributes() {
            let AttributeValue::DebugLineRef(offset) = entries.read_attribute(*attribute)?.value() else { continue };
            let mut section = *self.dwarf.debug_line.reader();
            section.skip(offset.0)?;
            let (_, format) = section.read_initial_length()?;
            if section.read_u16()? >= 5 {
                section.skip(2)?;
            }
            if section.read_offset(format)? > MAX_LINE_HEADER {
                return Ok(None);
            }
        }
        Ok(Some(()))
    }

    fn lines(&mut self, unit: &Unit<Slice<'a>>) -> Fits {
        let Some(program) = &unit.line_program else { return Ok(Some(())) };
        let header = program.header();
        fits!(self.spend(header.raw_program_buf().len(), ROW));
        fits!(self.spend(header.include_directories().len(), FILE));
        let folder = unit.comp_dir.map_or(0, |folder| folder.len());
        for file in header.file_names() {
            let directory = file.directory(header).map(|name| self.dwarf.attr_string(unit, name)).transpose()?;
            let name = self.dwarf.attr_string(unit, file.path_name())?;
            let path = folder + directory.map_or(0, |name| name.len()) + name.len();
            // The path grows in steps.
            fits!(self.spend(1, FILE.saturating_add(2 * path)));
            self.text = self.text.max(path);
        }
        Ok(Some(()))
    }

    fn entries(&mut self, unit: &Unit<Slice<'a>>) -> Fits {
        let mut entries = unit.entries_raw(None)?;
        let (mut longest, mut deepest) = (0, 0);
        while !entries.is_empty() {
            let depth = entries.next_depth();
            let Some(entry) = entries.read_abbreviation()? else { continue };
            if depth > MAX_DEPTH {
                return Ok(None);
            }
            let is_inlined = entry.tag() == constants::DW_TAG_inlined_subroutine;
            if is_inlined || entry.tag() == constants::DW_TAG_subprogram {
                deepest = deepest.max(depth);
                fits!(self.spend(1, FUNCTION));
            }
            for attribute in entry.attributes() {
                let attribute = entries.read_attribute(*attribute)?;
                match attribute.name() {
                    constants::DW_AT_ranges => fits!(self.ranges(unit, attribute.value())?),
                    constants::DW_AT_name | constants::DW_AT_linkage_name | constants::DW_AT_MIPS_linkage_name => {
                        longest = longest.max(self.dwarf.attr_string(unit, attribute.value())?.len());
                    }
                    _ => {}
                }
            }
        }
        self.text = self.text.saturating_add(longest);
        self.depth = self.depth.max(deepest);
        Ok(Some(()))
    }

    fn ranges(&mut self, unit: &Unit<Slice<'a>>, value: AttributeValue<Slice<'a>>) -> Fits {
        let Some(offset) = self.dwarf.attr_ranges_offset(unit, value)? else { return Ok(Some(())) };
        let mut ranges = self.dwarf.raw_ranges(unit, offset)?;
        while ranges.next()?.is_some() {
            fits!(self.spend(1, RANGE));
        }
        Ok(Some(()))
    }
}
