//! Curves as SVG. Colours are marks that `style.css` replaces, so that one drawing serves light and dark.

use std::error::Error;
use std::ops::Range;

use plotters::prelude::{
    ChartBuilder, Circle, DrawingArea, IntoDrawingArea, IntoFont, LineSeries, PathElement,
    RGBColor, Rectangle, SVGBackend, ShapeStyle,
};

use super::ReportError;

/// Size in pixels; small, so that its text stays readable on a phone.
const SIZE: (u32, u32) = (420, 300);
/// Size of its text in pixels.
const TEXT: u32 = 18;

/// Marks for the colours of `style.css`.
const INK: RGBColor = RGBColor(1, 0, 0);
const GRID: RGBColor = RGBColor(2, 0, 0);
const SERIES: [RGBColor; 2] = [RGBColor(3, 0, 0), RGBColor(4, 0, 0)];
const BAR: RGBColor = RGBColor(5, 0, 0);

/// What a chart shows. Values of y are shares.
#[derive(Debug)]
pub(super) struct Chart<'a> {
    /// What it shows, for those who cannot see it.
    pub(super) summary: &'a str,
    /// Range of x.
    pub(super) x: Range<f64>,
    /// Range of y.
    pub(super) y: Range<f64>,
    /// How a value of x is written.
    pub(super) x_label: fn(f64) -> String,
    /// Curves, at most two.
    pub(super) curves: Vec<Vec<(f64, f64)>>,
    /// Bars from the bottom: from, to, height.
    pub(super) bars: Vec<(f64, f64, f64)>,
    /// A dashed line from the lower left to the upper right.
    pub(super) has_diagonal: bool,
}

impl Chart<'_> {
    /// Returns the chart as an SVG element.
    pub(super) fn svg(&self) -> Result<String, ReportError> {
        let mut svg = String::new();
        self.draw(&mut svg).map_err(|error| ReportError(error.to_string()))?;
        Ok(svg)
    }

    fn draw(&self, svg: &mut String) -> Result<(), Box<dyn Error + '_>> {
        // The area writes the end of the element when it is dropped.
        let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        self.draw_on(&area).map_err(|error| error.to_string())?;
        area.present().map_err(|error| error.to_string())?;
        Ok(())
    }

    fn draw_on(&self, area: &Area<'_>) -> Result<(), Box<dyn Error>> {
        let (x, y) = (self.x.clone(), self.y.clone());
        let mut chart = ChartBuilder::on(area)
            .margin(10)
            .margin_right(26)
            .x_label_area_size(30)
            .y_label_area_size(54)
            .build_cartesian_2d(x.clone(), y.clone())
            .map_err(|error| error.to_string())?;
        chart
            .configure_mesh()
            .axis_style(INK)
            .bold_line_style(GRID)
            .max_light_lines(0)
            .label_style(("sans-serif", TEXT).into_font().color(&INK))
            .x_labels(5)
            .y_labels(6)
            .x_label_formatter(&|x| (self.x_label)(*x))
            .y_label_formatter(&|y| percent(*y))
            .draw()
            .map_err(|error| error.to_string())?;
        let bars = self.bars.iter().map(|(from, to, height)| {
            Rectangle::new(
                [(*from, y.start), (*to, y.start + *height)],
                ShapeStyle::from(BAR).filled(),
            )
        });
        chart.draw_series(bars).map_err(|error| error.to_string())?;
        if self.has_diagonal {
            let line = PathElement::new(vec![(x.start, y.start), (x.end, y.end)], INK);
            chart.draw_series([line]).map_err(|error| error.to_string())?;
        }
        // The first is drawn thicker, to be seen where the second lies upon it.
        for ((curve, colour), width) in self.curves.iter().zip(SERIES).zip([3, 1]) {
            let style = ShapeStyle::from(colour).stroke_width(width);
            let line = LineSeries::new(curve.iter().copied(), style);
            chart.draw_series(line).map_err(|error| error.to_string())?;
            let dots = curve
                .iter()
                .map(|at| Circle::new(*at, 2 + width, ShapeStyle::from(colour).filled()));
            chart.draw_series(dots).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// A share without digits behind the point, or with one where it is needed to tell it from its neighbours.
pub(super) fn percent(share: f64) -> String {
    let text = format!("{:.1}", share * 100.0);
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}

/// A range for shares with a round lower end.
pub(super) fn share_range(values: impl Iterator<Item = f64>) -> Range<f64> {
    let lowest = values.fold(1.0, f64::min);
    let low = ((lowest - 0.02) * 20.0).floor() / 20.0;
    low.clamp(0.0, 0.9)..1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_is_one_svg_element_in_colours_of_the_page() {
        let chart = Chart {
            summary: "",
            x: 0.0..1.0,
            y: 0.5..1.0,
            x_label: percent,
            curves: vec![vec![(0.0, 0.9), (1.0, 0.8)]],
            bars: vec![(0.0, 0.5, 0.1)],
            has_diagonal: true,
        };
        let svg = chart.svg().expect("a drawing");
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{svg}");
        let known = ["#010000", "#020000", "#030000", "#050000"];
        let colours = svg.split("=\"#").skip(1).filter_map(|rest| rest.split('"').next());
        for colour in colours {
            assert!(known.contains(&format!("#{colour}").as_str()), "{colour}");
        }
        for colour in known {
            assert!(svg.contains(colour), "{colour} in {svg}");
        }
    }

    #[test]
    fn axes_begin_at_a_round_share_below_the_values() {
        let range = |low: f64| share_range([low, 0.97].into_iter()).start;
        assert!((range(0.83) - 0.8).abs() < 1e-9, "{}", range(0.83));
        assert!((range(0.01)).abs() < 1e-9 && (range(0.97) - 0.9).abs() < 1e-9);
    }
}
