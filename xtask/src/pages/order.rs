//! The order of the module's functions: like beside like, which compression rewards. What they do stays as it is.

use std::convert::Infallible;

use anyhow::{Context, Result};
use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{CodeSection, FunctionSection, Module};
use wasmparser::{CodeSectionReader, FunctionBody, FunctionSectionReader, Parser, Payload, TypeRef};

/// The module with its functions in the order of their types, then of their code.
pub fn order(module: &[u8]) -> Result<Vec<u8>> {
    let mut ordering = Ordering::of(module)?;
    let mut ordered = Module::new();
    ordering
        .parse_core_module(&mut ordered, Parser::new(0), module)
        .map_err(|error| anyhow::anyhow!("the module could not be put in order: {error}"))?;
    Ok(ordered.finish())
}

struct Ordering {
    /// Functions that come from outside; their numbers come first and stay.
    imported: u32,
    /// The functions of the module as they were numbered, in the new order.
    order: Vec<usize>,
    /// The new place of each.
    places: Vec<u32>,
}

impl Ordering {
    fn of(module: &[u8]) -> Result<Self> {
        let (mut imported, mut types, mut bodies) = (0, Vec::<u32>::new(), Vec::<&[u8]>::new());
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                    }
                }
                Payload::FunctionSection(functions) => types = functions.into_iter().collect::<Result<_, _>>()?,
                Payload::CodeSectionEntry(body) => bodies.push(body.as_bytes()),
                _ => {}
            }
        }
        let mut order: Vec<usize> = (0..bodies.len()).collect();
        order.sort_by_key(|at| (types.get(*at).copied().unwrap_or_default(), bodies.get(*at).copied().unwrap_or_default()));
        let mut places = vec![0; order.len()];
        for (place, at) in order.iter().enumerate() {
            *places.get_mut(*at).context("a function is missing")? = u32::try_from(place)?;
        }
        Ok(Self { imported, order, places })
    }

    fn in_order<T>(&self, all: Vec<T>) -> impl Iterator<Item = T> + use<T> {
        let mut all: Vec<Option<T>> = all.into_iter().map(Some).collect();
        self.order.clone().into_iter().filter_map(move |at| all.get_mut(at)?.take())
    }
}

impl Reencode for Ordering {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error<Infallible>> {
        let own = function.checked_sub(self.imported).and_then(|own| self.places.get(own as usize));
        Ok(own.map_or(function, |place| self.imported + place))
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        let types = section.into_iter().collect::<Result<Vec<u32>, _>>()?;
        for kind in self.in_order(types) {
            functions.function(kind);
        }
        Ok(())
    }

    fn parse_code_section(&mut self, code: &mut CodeSection, section: CodeSectionReader<'_>) -> Result<(), Error<Infallible>> {
        let bodies = section.into_iter().collect::<Result<Vec<FunctionBody<'_>>, _>>()?;
        for body in self.in_order(bodies) {
            self.parse_function_body(code, body)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_encoder::{
        ConstExpr, ElementSection, Elements, EntityType, ExportKind, ExportSection, Function, ImportSection, RefType,
        TableSection, TableType, TypeSection, ValType,
    };
    use wasmparser::Operator;

    /// A module of `main`, which calls `seven` and what comes from outside, and of `seven`; a table holds `seven` as well.
    fn module() -> Vec<u8> {
        let (mut types, mut imports, mut functions) = (TypeSection::new(), ImportSection::new(), FunctionSection::new());
        types.ty().function([], [ValType::I32]);
        types.ty().function([], []);
        imports.import("outside", "called", EntityType::Function(1));
        functions.function(1).function(0);
        let mut tables = TableSection::new();
        tables.table(TableType { element_type: RefType::FUNCREF, table64: false, minimum: 1, maximum: None, shared: false });
        let mut exports = ExportSection::new();
        exports.export("main", ExportKind::Func, 1).export("seven", ExportKind::Func, 2);
        let mut elements = ElementSection::new();
        elements.active(Some(0), &ConstExpr::i32_const(0), Elements::Functions([2].as_slice().into()));
        let (mut code, mut main, mut seven) = (CodeSection::new(), Function::new([]), Function::new([]));
        main.instructions().call(2).drop().call(0).end();
        seven.instructions().i32_const(7).end();
        code.function(&main).function(&seven);
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&functions).section(&tables).section(&exports).section(&elements);
        module.section(&code);
        module.finish()
    }

    /// The functions that are exported, in that order; those that are called, in the order of the code; those in the table; and where
    /// the constant stands.
    fn numbers(module: &[u8]) -> (Vec<u32>, Vec<u32>, Vec<u32>, usize) {
        let (mut exported, mut called, mut held, mut seven, mut at) = (vec![], vec![], vec![], 0, 0);
        for payload in Parser::new(0).parse_all(module) {
            match payload.unwrap() {
                Payload::ExportSection(exports) => exported = exports.into_iter().map(|export| export.unwrap().index).collect(),
                Payload::ElementSection(elements) => {
                    for element in elements {
                        let wasmparser::ElementItems::Functions(functions) = element.unwrap().items else { panic!() };
                        held.extend(functions.into_iter().map(Result::unwrap));
                    }
                }
                Payload::CodeSectionEntry(body) => {
                    for operator in body.get_operators_reader().unwrap() {
                        match operator.unwrap() {
                            Operator::Call { function_index } => called.push(function_index),
                            Operator::I32Const { value: 7 } => seven = at,
                            _ => {}
                        }
                    }
                    at += 1;
                }
                _ => {}
            }
        }
        (exported, called, held, seven)
    }

    #[test]
    fn functions_change_their_places_and_all_that_name_them_follow() {
        assert_eq!(numbers(&module()), (vec![1, 2], vec![2, 0], vec![2], 1));
        let ordered = order(&module()).unwrap();
        assert_eq!(numbers(&ordered), (vec![2, 1], vec![1, 0], vec![1], 0));
        assert_eq!(ordered.len(), module().len());
    }

    #[test]
    fn what_is_no_module_is_refused() {
        assert!(order(b"no module").is_err());
    }
}
