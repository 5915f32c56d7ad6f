//! The plots, as SVG: text, without timestamps and fonts.

use std::path::Path;

use plotters::{
    coord::Shift,
    prelude::{
        ChartBuilder, Color, DrawingArea, IntoDrawingArea, IntoLogRange, LineSeries, PathElement,
        RGBColor, SVGBackend, Text, WHITE,
    },
};

use crate::{
    SIZES,
    fleet::{Fleets, PROCESSES},
    refreshes::{BOUNDS, Refreshes},
    series::Series,
    table::three_digits,
};

const WIDTH: u32 = 460;
const HEIGHT: u32 = 320;

/// A row of the legend, which has two columns below the panel.
const ROW: u32 = 20;
const ROWS: u32 = 3;

/// Distinct for the colour-blind too (Okabe and Ito).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 0, 0),
    RGBColor(0, 114, 178),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
];

/// A part of a picture.
struct Panel<'a> {
    title: String,
    series: &'a [Series],
}

pub(crate) fn memory_and_lookup(folder: &Path, memory: &[Series], lookup: &[Series]) {
    let panels = [
        Panel::new("bytes an account", memory),
        Panel::new("ns on one thread, round robin", lookup),
    ];
    draw(&folder.join("memory_and_lookup.svg"), &panels);
}

pub(crate) fn cold_start(folder: &Path, rates: &[Series]) {
    let panel = Panel::new("cold start: accounts a second", rates);
    draw(&folder.join("cold_start.svg"), &[panel]);
}

pub(crate) fn refreshes(folder: &Path, refreshes: &Refreshes) {
    let panels: Vec<_> = BOUNDS
        .iter()
        .zip(&refreshes.rates)
        .map(|(bound, rates)| Panel::new(format!("refreshes a second, {bound} at once"), rates))
        .collect();
    draw(&folder.join("refreshes.svg"), &panels);
}

pub(crate) fn fleets(folder: &Path, fleets: &Fleets) {
    let panels: Vec<_> = PROCESSES
        .iter()
        .zip(&fleets.seconds)
        .map(|(processes, seconds)| {
            Panel::new(
                format!("s until all have tokens, processes: {processes}"),
                seconds,
            )
        })
        .collect();
    draw(&folder.join("processes.svg"), &panels);
}

impl<'a> Panel<'a> {
    fn new(title: impl Into<String>, series: &'a [Series]) -> Self {
        Self {
            title: title.into(),
            series,
        }
    }
}

/// Draws panels side by side.
fn draw(path: &Path, panels: &[Panel<'_>]) {
    let size = (WIDTH * panels.len() as u32, HEIGHT + ROWS * ROW);
    let picture = SVGBackend::new(path, size).into_drawing_area();
    picture.fill(&WHITE).expect("a file");
    for (area, panel) in picture.split_evenly((1, panels.len())).iter().zip(panels) {
        draw_panel(area, panel);
    }
    picture.present().expect("a file");
}

fn draw_panel(area: &DrawingArea<SVGBackend<'_>, Shift>, panel: &Panel<'_>) {
    let (area, legend) = area.split_vertically(HEIGHT);
    let figures = || panel.series.iter().flat_map(|it| &it.points).map(|it| it.1);
    let least = figures().fold(f64::INFINITY, f64::min);
    let most = figures().fold(0.0, f64::max);
    // Whole powers of ten.
    let bottom = 10_f64.powf(least.log10().floor());
    let top = 10_f64.powf(most.log10().ceil());
    let sizes = panel.series.iter().flat_map(|it| &it.points).map(|it| it.0);
    let last = sizes.max().unwrap_or_default();
    let accounts = (0.8..SIZES[SIZES.len() - 1] as f64 * 1.25).log_scale();
    let mut chart = ChartBuilder::on(&area)
        .caption(&panel.title, ("sans-serif", 20))
        .margin(10)
        .margin_right(30)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(accounts, (bottom..top).log_scale())
        .expect("a panel");
    chart
        .configure_mesh()
        .max_light_lines(0)
        .x_labels(SIZES.len())
        .x_desc("accounts")
        .label_style(("sans-serif", 15))
        .axis_desc_style(("sans-serif", 15))
        .x_label_formatter(&|accounts| format!("{accounts:.0}"))
        .y_label_formatter(&|figure| three_digits(*figure))
        .draw()
        .expect("axes");
    for (nth, series) in panel.series.iter().enumerate() {
        let style = colour(series, nth).stroke_width(2);
        let points = series.points.iter();
        let points = points.map(|&(size, figure)| (size as f64, figure));
        chart
            .draw_series(LineSeries::new(points, style).point_size(3))
            .expect("a line");

        let column = (nth as u32 / ROWS * (WIDTH / 2) + 20) as i32;
        let row = (nth as u32 % ROWS * ROW) as i32;
        let sample = [(column, row + 7), (column + 16, row + 7)];
        let name = Text::new(label(series, last), (column + 22, row), ("sans-serif", 15));
        legend
            .draw(&PathElement::new(sample, style))
            .expect("a legend");
        legend.draw(&name).expect("a legend");
    }
}

/// Each store has the same colour in all plots.
fn colour(series: &Series, nth: usize) -> RGBColor {
    let store = match &*series.name {
        "memory" => 0,
        "directory" => 1,
        "single file" => 2,
        "Redis" => 3,
        "PostgreSQL" => 4,
        "encrypted directory" => 5,
        _ => nth,
    };
    COLOURS[store % COLOURS.len()]
}

/// The name of a series. If the series ends early, the label says where.
fn label(series: &Series, last: usize) -> String {
    match series.points.last() {
        Some(&(size, _)) if size < last => format!("{}, up to {size}", series.name),
        _ => series.name.clone(),
    }
}
